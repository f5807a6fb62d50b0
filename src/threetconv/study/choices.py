"""Names that a study may choose from, where their registry's module loads numpy, pandas or torch.

A study is planned on hosts that have none of these, so the names stand here once more; a test
holds them and their registries together (`tests/study/test_choices.py`).
"""

from __future__ import annotations

__all__ = ["CHOICES"]

CHOICES: dict[str, tuple[str, ...]] = {
    "class_weights": ("none", "balanced"),
    "controls": ("none", "static", "frame-shuffled", "label-shuffled"),
    "convolutions": ("3t", "3d", "2d", "r2plus1d"),
    "formats": ("threetconv", "authors"),
    "methods": ("gradient", "integrated-gradients", "guided-backprop", "grad-cam"),
    "motions": ("translation", "rotation", "zoom", "none"),
    "precisions": ("float32", "bfloat16", "float16"),
    "sampling": ("even", "random-offset"),
}
