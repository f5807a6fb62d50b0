"""The figures that a study draws from its tables, by name.

Adding a figure takes a module with its drawing function and one line in `FIGURES`; a rule of the
workflow then names that line, its tables and its files. Modules are imported when they are used, so
that an edit of one figure makes the workflow draw that figure again and no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from threetconv.figures.theme import save

__all__ = ["FIGURES", "draw"]

FIGURES: Mapping[str, str] = {
    "accuracy": "accuracy.accuracy_curves",
    "distributions": "parameters.parameter_figures",
    "effects": "effects.effects",
    "controls": "controls.controls",
    "profiles": "profile.profiles",
    "calibration": "calibration.calibration",
    "planted": "planted.planted_figures",
    "truth": "truth.truth_figures",
    "prediction": "prediction.prediction",
    "need": "need.need",
    "ruler": "ruler.ruler",
    "explained": "explained.explained_figures",
}
"""Name -> module.function below `threetconv.figures`. The function takes tables and options by
keyword and returns a figure, or several as a dictionary from the stem of a file's name."""


def draw(
    name: str, tables: Mapping[str, pd.DataFrame], files: Iterable[str | Path], **options: Any
) -> None:
    """Draw an entry of `FIGURES` and write its figures.

    Args:
        name: the entry.
        tables: finished tables, by the argument of the drawing function that takes each.
        files: where the figures go; each is found by the stem of its file.
        options: further arguments of the drawing function.

    Raises:
        KeyError: an entry that does not exist, or a file that no figure belongs to.
    """
    module, function = FIGURES[name].split(".")
    drawn = getattr(import_module(f"threetconv.figures.{module}"), function)(**tables, **options)
    for file in files:
        save(drawn[Path(file).stem] if isinstance(drawn, dict) else drawn, file)
