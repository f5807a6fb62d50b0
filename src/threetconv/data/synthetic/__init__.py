"""Rendered data sets in the layouts of the real ones: they need no download."""
