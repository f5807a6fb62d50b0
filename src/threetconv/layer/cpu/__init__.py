"""Compiled kernels of the layer on CPUs; only `layer.build_filters` calls in."""
