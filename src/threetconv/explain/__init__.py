"""Shows what a channel has learned: one method per file, each usable on any lifted network."""
