"""2D ConvNets lifted to video, traced, saved and read."""
