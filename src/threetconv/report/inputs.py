"""The finished tables, figures and configuration that a report is built from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from threetconv.report.document import Block, Figure, Paragraph, escape
from threetconv.schemas.runs import CONTROLS
from threetconv.support.levels import passes

__all__ = [
    "CHECKPOINTS",
    "MAIN",
    "Inputs",
    "checkpoint_name",
    "contrast_note",
    "differs",
    "in_order",
    "verdict",
]

CHECKPOINTS = {"matched": "matched noise budgets", "best": "best checkpoint"}
"""Checkpoint of a table -> its name in the text, in the order of the report."""
MAIN = ("dataset", "init", "dataset x init")
"""Families of planned tests; negative controls have a section of their own."""


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
    plan: Mapping[str, Any] = field(default_factory=dict)
    accuracy_tests: pd.DataFrame = field(default_factory=pd.DataFrame)
    control_accuracy: pd.DataFrame = field(default_factory=pd.DataFrame)
    layer_profile: pd.DataFrame = field(default_factory=pd.DataFrame)
    sensitivity: pd.DataFrame = field(default_factory=pd.DataFrame)
    distances: pd.DataFrame = field(default_factory=pd.DataFrame)
    bootstrap: pd.DataFrame = field(default_factory=pd.DataFrame)
    calibration: pd.DataFrame = field(default_factory=pd.DataFrame)
    power: pd.DataFrame = field(default_factory=pd.DataFrame)
    planted: pd.DataFrame = field(default_factory=pd.DataFrame)
    planted_first: pd.DataFrame = field(default_factory=pd.DataFrame)
    planted_layers: pd.DataFrame = field(default_factory=pd.DataFrame)
    planted_tuning: pd.DataFrame = field(default_factory=pd.DataFrame)
    planted_tuning_first: pd.DataFrame = field(default_factory=pd.DataFrame)
    planted_where: pd.DataFrame = field(default_factory=pd.DataFrame)
    order_leak: pd.DataFrame = field(default_factory=pd.DataFrame)
    alignment: pd.DataFrame = field(default_factory=pd.DataFrame)
    agreement: pd.DataFrame = field(default_factory=pd.DataFrame)
    reproducibility: pd.DataFrame = field(default_factory=pd.DataFrame)
    prediction: pd.DataFrame = field(default_factory=pd.DataFrame)
    endpoints: pd.DataFrame = field(default_factory=pd.DataFrame)
    need_cells: pd.DataFrame = field(default_factory=pd.DataFrame)
    need_classes: pd.DataFrame = field(default_factory=pd.DataFrame)
    need_tests: pd.DataFrame = field(default_factory=pd.DataFrame)
    ruler_cells: pd.DataFrame = field(default_factory=pd.DataFrame)

    def setting(self, path: str, default: Any = None) -> Any:
        """A value of the configuration by its dotted path."""
        here: Any = self.config
        for key in path.split("."):
            if not isinstance(here, Mapping) or key not in here:
                return default
            here = here[key]
        return here

    @property
    def real_runs(self) -> pd.DataFrame:
        """Runs that are no negative controls."""
        return self.runs[self.control == "none"]

    @property
    def control(self) -> pd.Series:
        """The control that each run is, "none" for real runs."""
        if "control" in self.runs:
            return self.runs["control"].astype(str)
        return pd.Series("none", index=self.runs.index)

    @property
    def fetched(self) -> pd.Series:
        """Whether each run was fetched and not trained here."""
        if "source" in self.runs:
            return self.runs["source"].astype(str) == "fetched"
        return pd.Series(data=False, index=self.runs.index)

    @property
    def measured(self) -> pd.DataFrame:
        """Runs that have temporal parameters and are no negative controls."""
        return self.real_runs[self.real_runs["convolution"].astype(str) == "3t"]

    @property
    def recipes(self) -> list[str]:
        """Recipes of the 3T networks, the paper's first."""
        if "recipe" not in self.runs:
            return ["paper"]
        names = set(self.runs.loc[self.runs["convolution"].astype(str) == "3t", "recipe"])
        return sorted(map(str, names), key=lambda name: (name != "paper", name))

    @property
    def variant(self) -> list[str]:
        """Columns of the runs table that tell variants apart, controls aside."""
        names = ("network", "dataset", "init", "convolution", "recipe")
        return [name for name in names if name in self.runs]

    def of_recipe(self, recipe: str) -> Inputs:
        """The tables' lines and the figures of one recipe; what has none stays."""
        parts: dict[str, Any] = {
            name: table[table["recipe"].astype(str) == recipe].reset_index(drop=True)
            for name in (f.name for f in fields(self))
            if isinstance(table := getattr(self, name), pd.DataFrame) and "recipe" in table
        }
        figures = {}
        for name, path in self.figures.items():
            owner, slash, rest = name.rpartition("/")
            if not slash or owner == recipe:
                figures[rest] = path
        return replace(self, **parts, figures=figures)

    @property
    def papers(self) -> list[str]:
        """Datasets beside which the paper's numbers may be printed."""
        return [n for n in self.datasets if self.setting(f"datasets.{n}.stands_for")]

    @property
    def controls(self) -> list[str]:
        """Negative controls that were trained."""
        return [name for name in CONTROLS if name in set(self.control)]

    def tested(self, *families: str, scope: str = "model") -> pd.DataFrame:
        """Lines of the tests table by family and scope, matched ones before best checkpoints."""
        table = self.tests
        if table.empty:
            return table
        keep = table["family"].astype(str).isin(families)
        if "scope" in table:
            keep &= table["scope"].astype(str) == scope
        return in_order(table[keep])

    @property
    def datasets(self) -> list[str]:
        """Names of the datasets that runs were trained on, in the order of the configuration."""
        named = [str(name) for name in self.setting("datasets", {})]
        present = self.distinct("dataset")
        # Runs may remain of data sets that the configuration no longer names.
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


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Matched noise budgets before best checkpoints, within each family and contrast."""
    if "checkpoint" not in table or table.empty:
        return table
    names = list(CHECKPOINTS)
    # sort=False numbers the groups in the order of the table.
    group = table.groupby(["family", "contrast"], sort=False, observed=True).ngroup().tolist()
    rank = [names.index(c) if c in names else len(names) for c in table["checkpoint"]]
    return table.iloc[sorted(range(len(table)), key=lambda i: (group[i], rank[i]))]


def differs(table: pd.DataFrame, alpha: float) -> pd.Series:
    """Which lines of a table of tests show a difference."""
    return (table["status"] == "ok") & passes(table["p_adjusted"], alpha)


def verdict(line: Mapping[Any, Any], alpha: float) -> str:
    """The status, and where a test was made which way it went."""
    if line["status"] != "ok":
        unmatched = str(line.get("reason", "")).startswith("not matched")
        return "not matched" if unmatched else str(line["status"])
    return "differs" if passes(float(line["p_adjusted"]), alpha) else "not shown"


def contrast_note(table: pd.DataFrame) -> str:
    """What each family compares, where that can be said once; "" if one has several contrasts."""
    pairs = table[["family", "contrast"]].astype(str).drop_duplicates()
    # Then the contrast stands on every line of the table instead.
    if pairs["family"].duplicated().any():
        return ""
    return "; ".join(f"{f}: {c}" for f, c in zip(pairs["family"], pairs["contrast"], strict=True))


def checkpoint_name(raw: object) -> str:
    """A checkpoint in words."""
    return CHECKPOINTS.get(str(raw), str(raw))
