"""Lift 2D ConvNets to video networks, trace them, and read weight files."""
