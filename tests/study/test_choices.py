"""Names that a study may choose from are those of the registries, which are slow to load."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from threetconv.clips.controls import FRAMES
from threetconv.data.decoding.frame_sampling import SAMPLING
from threetconv.data.synthetic.planted import MOTIONS
from threetconv.explain.saliency.methods import METHODS
from threetconv.networks.lift_convolutions import CONVOLUTIONS
from threetconv.networks.weight_files import FORMATS
from threetconv.study.choices import CHOICES
from threetconv.training.loss import CLASS_WEIGHTS
from threetconv.training.settings import PRECISIONS

REGISTRIES: dict[str, Iterable[str]] = {
    "class_weights": CLASS_WEIGHTS,
    "controls": FRAMES,
    "convolutions": CONVOLUTIONS,
    "formats": FORMATS,
    "methods": METHODS,
    "motions": MOTIONS,
    "precisions": PRECISIONS,
    "sampling": SAMPLING,
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_study_may_choose_all_that_is_registered(name: str) -> None:
    assert sorted(CHOICES[name]) == sorted(REGISTRIES[name])
