"""Conv3T: one 2D filter, carried through time by affine maps."""
