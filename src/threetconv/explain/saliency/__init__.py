"""Saliency: which pixels make a channel respond."""
