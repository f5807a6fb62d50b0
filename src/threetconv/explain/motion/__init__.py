"""What a channel does to its content over time."""
