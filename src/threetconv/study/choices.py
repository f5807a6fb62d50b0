"""What a study may choose by name, where the registry of the names loads numpy, pandas or torch.

A study is planned on hosts that have none of these, so the names stand here once more; a test
holds them and their registries together (`tests/study/test_choices.py`).
"""

from __future__ import annotations

__all__ = [
    "ADAPTERS",
    "CLASS_WEIGHTS",
    "CONTROLS",
    "CONVOLUTIONS",
    "FORMATS",
    "METHODS",
    "MOTIONS",
    "PRECISIONS",
    "SAMPLING",
]

ADAPTERS = ("jester", "ucf101", "hmdb51", "something-something-v2", "kinetics", "folder")
CLASS_WEIGHTS = ("none", "balanced")
CONTROLS = ("none", "static", "frame-shuffled", "label-shuffled")
CONVOLUTIONS = ("3t", "3d")
FORMATS = ("threetconv", "authors")
METHODS = ("gradient", "integrated-gradients", "guided-backprop", "grad-cam")
MOTIONS = ("translation", "rotation", "zoom", "none")
PRECISIONS = ("float32", "bfloat16", "float16")
SAMPLING = ("even", "random-offset")
