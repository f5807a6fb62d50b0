"""The finished tables, figures and configuration that a report is built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from threetconv.report.document import Block, Figure, Paragraph, escape

__all__ = ["FIGURES", "Inputs", "join_words", "plural"]

FIGURES = ("clips_*", "accuracy", "distributions_*", "histograms_*", "effects")
"""Names of figures that have a place in the report; * is a dataset (clips) or an initialisation."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Everything a section may draw on; a table that a study does not have is an empty frame."""

    runs: pd.DataFrame
    metrics: pd.DataFrame
    accuracy: pd.DataFrame
    displacement: pd.DataFrame
    tests: pd.DataFrame
    figures: Mapping[str, Path]
    captions: Mapping[str, str]
    config: Mapping[str, Any]
    provenance: Mapping[str, str]

    def setting(self, path: str, default: Any = None) -> Any:
        """A value of the configuration by its dotted path."""
        here: Any = self.config
        for key in path.split("."):
            if not isinstance(here, Mapping) or key not in here:
                return default
            here = here[key]
        return here

    @property
    def datasets(self) -> list[str]:
        """Names of the datasets that runs were trained on, in the order of the configuration."""
        named = [str(name) for name in self.setting("datasets", {})]
        present = self.distinct("dataset")
        return [n for n in named if n in present] + [n for n in present if n not in named]

    def distinct(self, column: str) -> list[str]:
        """Values of a column of the runs table, sorted."""
        return sorted({str(v) for v in self.runs[column]}) if column in self.runs else []

    @property
    def synthetic(self) -> list[str]:
        """Datasets that the project rendered itself."""
        return [n for n in self.datasets if self.setting(f"datasets.{n}.render") is not None]

    @property
    def alpha(self) -> float:
        """Level of the tests."""
        return float(self.setting("statistics.alpha", 0.05))

    def figure(self, name: str, *, label: str, caption: str, alt: str) -> list[Block]:
        """The figure of that name, or a sentence that it was not made."""
        if name not in self.figures:
            return [Paragraph(f"*{escape(label)} was not drawn in this study.*")]
        text = f"{caption} {escape(self.captions[name])}" if name in self.captions else caption
        return [Figure(Path(self.figures[name]), text, alt, label)]


def join_words(words: list[str], *, last: str = "and") -> str:
    """a, b and c."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def plural(count: int, singular: str, many: str | None = None) -> str:
    """1 run, 3 runs."""
    return f"{count:,} {singular if count == 1 else many or singular + 's'}"
