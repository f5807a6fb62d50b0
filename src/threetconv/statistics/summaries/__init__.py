"""One number per run, layer or cell."""
