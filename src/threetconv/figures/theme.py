"""One look for every figure: fonts, roles of colours, names and units of parameters, files.

Colours have roles. Ink, muted ink, grid and paper are plain hexadecimal strings that occur nowhere
else, so a page that inlines an SVG can swap them for a dark scheme. Data colours are Okabe and
Ito's, or near them, which stay apart under the common kinds of colour blindness; a dataset keeps
its colour in all figures, and so does an initialisation (from the other half of the palette, so
that the two are never confused).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from threetconv.schemas import runs
from threetconv.schemas.runs import CONVOLUTIONS
from threetconv.support.files import atomic

__all__ = [
    "CONTROLS",
    "GRID",
    "INK",
    "MUTED",
    "PAPER",
    "PARAMETERS",
    "ROLES",
    "SYMBOLS",
    "control_mark",
    "dataset_colours",
    "empty",
    "finite",
    "in_turn",
    "init_colours",
    "new_figure",
    "note",
    "ordered",
    "plain",
    "present",
    "save",
    "style",
    "tint",
    "where",
]

INK, MUTED, GRID, PAPER = "#1f2a37", "#64707d", "#d5dbe1", "#fefefe"
DATASETS = ("#0072b2", "#d55e00", "#56b4e9", "#e69f00")
INITS = ("#009e73", "#b04a8b", "#8c7a1e", "#5a5aa6")
ROLES: Mapping[str, str] = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    PAPER: "paper",
    **{colour: f"dataset-{i}" for i, colour in enumerate(DATASETS)},
    **{colour: f"init-{i}" for i, colour in enumerate(INITS)},
}
"""Hexadecimal colour in the SVG -> name of its role, for pages with a dark scheme."""

PARAMETERS: Mapping[str, tuple[str, str]] = {
    "s": ("log zoom $z_s = -\\ln|s|$", "dimensionless"),
    "r": ("rotation $z_r = -r$", "radians, clockwise"),
    "px": ("translation $p_x$", "fraction of the kernel, right"),
    "py": ("translation $p_y$", "fraction of the kernel, up"),
}
"""Temporal parameter -> its name on an axis and its unit."""
SYMBOLS: Mapping[str, str] = {"s": "$s$", "r": "$r$", "px": "$p_x$", "py": "$p_y$"}
"""Temporal parameter -> its symbol, where there is no room for more."""


def in_turn(names: Iterable[str], looks: Iterable[Any]) -> dict[str, Any]:
    """A look for each of `names`; where there are more names, the first looks come again."""
    return dict(zip(names, cycle(looks), strict=False))


CONTROLS: Mapping[str, tuple[str, str, str]] = {
    "none": ("o", INK, "real runs"),
    **{
        name: (marker, (*INITS[2:], MUTED)[i % 3], runs.CONTROLS[name].label)
        for i, (name, marker) in enumerate(in_turn(runs.CONTROLS, "s^DvPX").items())
    },
}
"""Negative control -> marker, colour and legend text."""

STYLE: Any = {  # rcParams; matplotlib types its keys as literals
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9.0,
    "axes.titleweight": "bold",
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.visible": False,
    "ytick.minor.visible": False,
    "text.color": INK,
    "text.parse_math": True,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "path",
    "svg.hashsalt": "threetconv",
    "path.simplify": True,
}


@contextmanager
def style() -> Iterator[None]:
    """The house style, and matplotlib's global settings untouched afterwards."""
    with mpl.rc_context(STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches that no global state holds on to."""
    # Not pyplot, which keeps every figure in memory until it is closed.
    return Figure(figsize=(width, height), layout="constrained")


def ordered(values: Iterable[Any]) -> list[str]:
    """Distinct names in order: pretrained before scratch, convolutions, the rest by alphabet."""
    first = {name: i for i, name in enumerate(("pretrained", "scratch", *CONVOLUTIONS))}
    return sorted({str(value) for value in values}, key=lambda name: (first.get(name, 9), name))


def dataset_colours(datasets: Iterable[Any]) -> dict[str, str]:
    """A colour for each dataset; the same names give the same colours in every figure."""
    # By place among the names given: callers pass the names of the whole table, not of one panel.
    return {name: DATASETS[i % len(DATASETS)] for i, name in enumerate(ordered(datasets))}


def init_colours(inits: Iterable[Any]) -> dict[str, str]:
    """A colour for each initialisation; pretrained and scratch are always the first two."""
    known = {"pretrained": INITS[0], "scratch": INITS[1]}
    others = [name for name in ordered(inits) if name not in known]
    return known | {name: INITS[2 + i % (len(INITS) - 2)] for i, name in enumerate(others)}


def control_mark(control: str) -> dict[str, Any]:
    """How real runs are marked (filled), and controls (hollow)."""
    marker, colour, _ = CONTROLS[control]
    fill = colour if control == "none" else PAPER
    return {"marker": marker, "color": colour, "mfc": fill, "ms": 4, "mew": 0.9, "lw": 1.1}


def plain(text: object) -> str:
    """A user's name as matplotlib text: dollars do not start mathematics."""
    return str(text).replace("$", r"\$")


def tint(colour: str, alpha: float) -> tuple[float, float, float, float]:
    """`colour` with opacity `alpha`, as RGBA."""
    red, green, blue = mpl.colors.to_rgb(colour)
    return red, green, blue, alpha


def note(axes: Axes, text: str) -> None:
    """One small line at the foot of a panel, where a density is filled and crosses no curve."""
    axes.text(
        0.5,
        0.035,
        text,
        transform=axes.transAxes,
        ha="center",
        va="bottom",
        fontsize=6.5,
        color=INK,
        clip_on=True,
    )


def empty(message: str, *, width: float = 6.5) -> Figure:
    """A figure that says in words why there is nothing to draw."""
    with style():
        figure = new_figure(width, 1.0)
        figure.text(0.5, 0.5, plain(message), ha="center", va="center", color=MUTED, wrap=True)
    return figure


def save(figure: Figure, path: str | Path, *, dpi: int = 200) -> None:
    """Write `figure` atomically; the suffix of `path` (.svg, .pdf, .png) chooses the format.

    The bytes are repeatable: no date, no program version, no random identifiers.
    """
    path = Path(path)
    suffix = path.suffix.lstrip(".").lower()
    metadata: dict[str, Any] = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }[suffix]
    # rcParams of SVG (fonts as paths, hash salt) apply on saving, so the style is needed here,
    # too.
    with style(), atomic(path) as temporary, warnings.catch_warnings():
        # Happens for figures that are too small for their labels; they are saved without it.
        warnings.filterwarnings("ignore", message=".*constrained_layout not applied.*")
        figure.savefig(temporary, format=suffix, dpi=dpi, metadata=metadata)


def finite(values: Any) -> np.ndarray:
    """The finite entries of a column, as float64."""
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]


def present(names: Iterable[str], column: pd.Series) -> list[str]:
    """Those of `names` that occur in a column, in their order."""
    found = set(column.astype(str))
    return [name for name in names if name in found]


def where(table: pd.DataFrame, **values: str) -> pd.DataFrame:
    """The rows whose columns have these values, as text: columns of names may be categories."""
    keep = np.ones(len(table), dtype=bool)
    for name, value in values.items():
        keep &= (table[name].astype(str) == value).to_numpy()
    return table[keep]
