"""Clips as a network gets them: packed or streamed, augmented, in batches."""
