"""Drawing: a finished table in, a matplotlib `Figure` out; no number is computed here."""

from __future__ import annotations

from threetconv.figures.accuracy import accuracy_curves
from threetconv.figures.calibration import calibration
from threetconv.figures.clips import clip_strip
from threetconv.figures.controls import controls
from threetconv.figures.distributions import (
    scale_rotation_densities,
    temporal_distributions,
    translation_joint,
)
from threetconv.figures.effects import effects
from threetconv.figures.histograms import histograms
from threetconv.figures.planted import alignment, planted
from threetconv.figures.profile import profile
from threetconv.figures.theme import save

__all__ = [
    "accuracy_curves",
    "alignment",
    "calibration",
    "clip_strip",
    "controls",
    "effects",
    "histograms",
    "planted",
    "profile",
    "save",
    "scale_rotation_densities",
    "temporal_distributions",
    "translation_joint",
]
