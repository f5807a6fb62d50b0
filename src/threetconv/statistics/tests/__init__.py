"""The planned comparisons, with the training run as unit."""
