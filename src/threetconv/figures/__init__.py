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
from threetconv.figures.explained import class_drop_table, explained_rows
from threetconv.figures.explanations import channel_rows_figure, class_drops
from threetconv.figures.gallery import gallery
from threetconv.figures.histograms import histograms
from threetconv.figures.planted import alignment, planted
from threetconv.figures.profile import profile
from threetconv.figures.theme import save
from threetconv.figures.trajectories import trajectories

__all__ = [
    "accuracy_curves",
    "alignment",
    "calibration",
    "channel_rows_figure",
    "class_drop_table",
    "class_drops",
    "clip_strip",
    "controls",
    "effects",
    "explained_rows",
    "gallery",
    "histograms",
    "planted",
    "profile",
    "save",
    "scale_rotation_densities",
    "temporal_distributions",
    "trajectories",
    "translation_joint",
]
