"""What a channel has learned, shown: one method a file, each usable on any lifted network."""
