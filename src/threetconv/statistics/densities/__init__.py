"""Distributions of rows: densities, histograms, distances. No p-values."""
