"""One dataset a module: a folder on disk becomes a table of clips."""
