"""The picture or the video that a channel responds to most."""
