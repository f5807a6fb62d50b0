"""Direction: do channels point the way they prefer?

Where motion is planted, a channel that responds more to the class "right" than to "left" should
have filters whose content moves right, px > 0. The same holds for up, clockwise and growing, since
the signed displacements z point right, up, clockwise and outwards (`threetconv.layer.units`) and a
filter is correlated with the clip: it responds most to a clip that does what the filter does.

Channels are rows inside a run; the run is the unit of every interval and test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from threetconv.errors import InputError, look_up
from threetconv.records.parameters import derive
from threetconv.schemas.statistics import ALIGNMENT
from threetconv.statistics.tests.adjust import adjust, benjamini_hochberg, holm
from threetconv.statistics.tests.families import with_recipe
from threetconv.statistics.tests.permutation import DRAWS, permute

__all__ = ["AXES", "COLUMNS", "Axis", "Signs", "alignment_table", "sign_flip"]

COLUMNS = ALIGNMENT.names
CELL = ["network", "dataset", "init", "recipe", "control"]
MAX_ENUMERATION = 2**17  # assignments of signs: up to 17 runs
ROUNDING = 1e-12  # sums closer than this share of the sum of |values| are tied


class Axis(NamedTuple):
    """Two opposite classes, and the displacement that points from the second to the first."""

    towards: str
    away: str
    parameter: str
    z: str

    @property
    def name(self) -> str:
        """For the table: "right - left"."""
        return f"{self.towards} - {self.away}"


AXES: dict[str, tuple[Axis, ...]] = {
    "translation": (Axis("right", "left", "px", "z_x"), Axis("up", "down", "py", "z_y")),
    "rotation": (Axis("clockwise", "counterclockwise", "r", "z_r"),),
    "zoom": (Axis("growing", "shrinking", "s", "z_s"),),
    "none": (),
}
"""Planted motion -> its axes."""


def alignment_table(
    parameters: pd.DataFrame,
    preferences: pd.DataFrame,
    runs: pd.DataFrame,
    motions: Mapping[str, str],
    *,
    tag: str = "best",
    alpha: float = 0.05,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Correlation over channels between preference and displacement, by run, then over runs.

    Args:
        parameters: parameter tables of the runs (`threetconv.records.parameters.SCHEMA`); only
            lines of the snapshot `tag` are read.
        preferences: from `threetconv.explain.class_preferences.class_preferences`, of the same
            runs. Those of controls are best worked out on the real clips of the data set with their
            true labels: they then show how much alignment there is without anything to learn.
        runs: run_id, network, dataset, init, convolution, control.
        motions: data set -> its planted motion, a key of `AXES`.
        tag: the snapshot; preferences are those of the best checkpoint.
        alpha: level, decides what is untestable.
        level: of the intervals.
        seed: of Monte Carlo draws, for more than 17 runs.

    Returns:
        Columns `COLUMNS`; lines for every network, data set, init, control and axis, of scope

        - "layer": Spearman's correlation over the channels of one layer, averaged over runs;
        - "model": the same over all layers, each channel ranked within its layer (the mean of the
          layers' correlations, weighted by channels);
        - "first": the first layer once more, tested on its own. It is the only layer whose input is
          the clip; channels of deeper layers may prefer a direction because their input does.

        Where a motion has two axes, "model" and "first" also have lines of axis "all", with each
        run's mean over the axes. A channel's displacement is its mean signed z over reachable
        transitions. The interval is a t interval over runs; the test is a sign-flip permutation of
        runs, one-sided since the direction was planted (`sign_flip`). `p_adjusted`:
        Benjamini-Hochberg over layers for scope "layer", Holm over the axes where there are two,
        no adjustment for "all" or for a single axis. Runs in which nothing varies have no
        correlation and do not count. `status`: "ok", "untestable" or "degenerate", with `reason`.

    Raises:
        InputError: a run of a planted motion without parameters or without preferences.
    """
    moving = [dataset for dataset, motion in motions.items() if _axes(motion)]
    wanted = runs[(runs["convolution"] == "3t") & runs["dataset"].isin(moving)]
    wanted = with_recipe(wanted)[["run_id", *CELL]]
    for table, what in ((parameters, "parameter"), (preferences, "preference")):
        lacking = sorted(set(wanted["run_id"]) - set(table["run_id"]))
        if lacking:
            raise InputError(
                f"{what} tables",
                found=f"nothing of run {lacking[0]} ({len(lacking)} missing in all)",
                expected="parameters and preferences of every run of a planted motion",
                remedy="make both tables from the same runs",
            )
    by_run = _by_run(_channels(parameters[parameters["tag"] == tag], preferences, wanted), motions)
    if by_run.empty:
        return pd.DataFrame(columns=COLUMNS)
    keys = COLUMNS[: COLUMNS.index("n_runs")]
    lines = pd.DataFrame(
        [
            dict(zip(keys, key, strict=True)) | _over_runs(group, level=level, seed=seed)
            for key, group in by_run.sort_values("run_id").groupby(keys, sort=False)
        ]
    )
    family = [k for k in keys if k not in ("layer_index", "layer")]
    layers = lines["scope"] == "layer"
    single = ~layers & (lines["axis"] != "all")
    parts = [_adjusted(g, "layers", alpha) for _, g in lines[layers].groupby(family)]
    family = [k for k in keys if k not in ("axis", "parameter")]
    parts += [_adjusted(g, "axes", alpha) for _, g in lines[single].groupby(family)]
    parts += [_adjusted(lines.loc[[i]], "axes", alpha) for i in lines.index[~layers & ~single]]
    table = pd.concat(parts)
    order = {"model": 0, "first": 1, "layer": 2}
    return table.sort_values(
        [*CELL, "scope", "axis", "layer_index"],
        key=lambda c: c.map(order) if c.name == "scope" else c,
        ignore_index=True,
    )[COLUMNS].astype({"layer_index": np.int32})


def sign_flip(
    values: npt.ArrayLike,
    *,
    seed: int = 0,
    max_enumeration: int = MAX_ENUMERATION,
    draws: int = DRAWS,
) -> tuple[float, float]:
    """One-sided sign-flip test of mean > 0, values symmetric about 0 under the null hypothesis.

    Args:
        values: (n,) one per run, finite, n >= 1.
        seed, max_enumeration, draws: as for `threetconv.statistics.tests.permutation.permute`.

    Returns:
        p, and the smallest p that n values could have given: 1 / 2^n, or 1 / (draws + 1).
    """
    x = np.sort(np.asarray(values, dtype=np.float64))  # the order of the runs must not matter
    result = permute(
        [Signs(x)], x.sum(keepdims=True), ROUNDING * np.abs(x).sum(keepdims=True),
        least=0.5**x.size, two_sided=False, seed=seed, max_enumeration=max_enumeration, draws=draws,
    )[0]  # fmt: skip
    return result.p, result.floor


class Signs(NamedTuple):
    """The sum of values whose signs are exchanged."""

    values: np.ndarray  # (n,)

    @property
    def labelings(self) -> int:
        return 2**self.values.size

    def every(self) -> np.ndarray:
        sums = np.zeros(1)
        # doubles each time: in the end the 2^n sums, (2^n,)
        for value in self.values:
            sums = np.concatenate([sums + value, sums - value])
        return sums[:, None]

    def drawn(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        signs = rng.integers(0, 2, size=(rows, self.values.size)) * 2 - 1
        return np.asarray(signs @ self.values[:, None])


def _axes(motion: str) -> tuple[Axis, ...]:
    return look_up(AXES, motion, what="planted motion")


def _channels(
    parameters: pd.DataFrame, preferences: pd.DataFrame, wanted: pd.DataFrame
) -> pd.DataFrame:
    """Mean signed z over reachable transitions, and preferences by label; a line per channel."""
    rows = parameters["reachable"].to_numpy(bool) & parameters["run_id"].isin(wanted["run_id"])
    derived = derive(parameters[rows])
    z = sorted({axis.z for axes in AXES.values() for axis in axes})
    means = derived.groupby(["run_id", "layer_index", "layer", "channel"], sort=True)[z].mean()
    keys = ["run_id", "layer_index", "channel"]
    labelled = preferences.set_index([*keys, "label"])["preference"]
    scores = labelled.unstack("label")  # noqa: PD010 (pivot_table averages duplicates silently)
    # a line per channel: displacements beside the preference for every class
    return means.reset_index().merge(scores.reset_index(), on=keys).merge(wanted, on="run_id")


def _by_run(channels: pd.DataFrame, motions: Mapping[str, str]) -> pd.DataFrame:
    """The correlations of every run: by layer, over the model, and over its axes."""
    cell = ["run_id", *CELL]
    place = ["layer_index", "layer"]
    parts = []
    for dataset, lines in channels.groupby("dataset", sort=True):
        motion = motions[str(dataset)]
        whole = []
        for axis in AXES[motion]:
            pairs = lines[[*cell, *place]].assign(
                x=lines[axis.towards] - lines[axis.away], y=lines[axis.z]
            )
            products = _products(pairs.dropna(subset=["x", "y"]), [*cell, *place])
            about = {"motion": motion, "axis": axis.name, "parameter": axis.parameter}
            layers = _correlation(products, [*cell, *place]).assign(**about)
            model = _correlation(products, cell).assign(layer_index=-1, layer="", **about)
            first = layers[layers["layer_index"] == 0]
            parts.append(layers.assign(scope="layer"))
            whole += [model.assign(scope="model"), first.assign(scope="first")]
        parts += whole
        if len(AXES[motion]) > 1:
            grouped = pd.concat(whole).groupby([*cell, "scope", *place], sort=True)
            together = ", ".join(axis.parameter for axis in AXES[motion])
            # a run that lacks one axis has no mean: an average over other axes would not be
            # comparable
            mean = grouped["correlation"].agg(lambda values: values.mean(skipna=False))
            parts.append(mean.reset_index().assign(motion=motion, axis="all", parameter=together))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _products(pairs: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Products of the scores of x and y: ranks within `keys`, with mean 0 and variance 1."""
    grouped = pairs.groupby(keys, sort=True)
    ranks = grouped[["x", "y"]].rank()  # ties at their mean rank
    centred = ranks.sub(0.5 * (grouped["x"].transform("size") + 1), axis=0)
    variance = (centred**2).groupby([pairs[key] for key in keys]).transform("mean")
    scores = centred / variance.where(variance > 0, 1.0) ** 0.5
    x, y = scores["x"], scores["y"]
    return pairs[keys].assign(xx=x * x, yy=y * y, xy=x * y)


def _correlation(products: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Pearson's correlation of the scores in every group; NaN where one never varies."""
    sums = products.groupby(keys, sort=True)[["xx", "yy", "xy"]].sum()
    norm = (sums["xx"] * sums["yy"]) ** 0.5
    return (sums["xy"] / norm.where(norm > 0)).rename("correlation").reset_index()


def _over_runs(group: pd.DataFrame, *, level: float, seed: int) -> dict[str, Any]:
    from scipy.stats import t  # a second to import

    values = np.sort(group["correlation"].to_numpy(np.float64))
    values = values[np.isfinite(values)]
    line: dict[str, Any] = {
        "n_runs": values.size, "correlation": math.nan, "ci_low": math.nan, "ci_high": math.nan,
        "p_raw": math.nan, "p_floor": math.nan, "p_adjusted": math.nan, "status": "ok",
        "reason": "",
    }  # fmt: skip
    lost = len(group) - values.size
    if lost:
        line["reason"] = f"{lost} runs in which nothing varies left out"
    if not values.size:
        return line | {"status": "degenerate"}
    mean = float(values.mean())
    p, floor = sign_flip(values, seed=seed)
    line |= {"correlation": mean, "p_raw": p, "p_floor": floor}
    if values.size > 1:
        half = float(t.ppf(0.5 + level / 2, values.size - 1)) * float(
            values.std(ddof=1)
        ) / math.sqrt(values.size)  # fmt: skip
        line |= {"ci_low": mean - half, "ci_high": mean + half}
    return line


def _adjusted(lines: pd.DataFrame, over: str, alpha: float) -> pd.DataFrame:
    """p_adjusted of one family, or "untestable" where it could never pass."""
    rows = [{str(name): value for name, value in row.items()} for row in lines.to_dict("records")]
    method, name = (benjamini_hochberg, "BH") if over == "layers" else (holm, "Holm")
    adjust(rows, alpha, method, name, over, needed="more runs")
    if len(rows) == 1:
        rows[0]["adjustment"] = "none"  # a family of one: p_adjusted is p
    return pd.DataFrame(rows, columns=[*lines.columns, "adjustment"])
