"""Whether temporal parameters tell what a network does: with known motion, and in other runs."""
