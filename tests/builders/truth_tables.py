"""Parameter tables, tuning tables and runs whose agreement is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from threetconv.schemas.truth import INDEX_OF
from threetconv.statistics.truth.net_motion import net_motion

from .parameter_rows import completed

LAYERS = ((3, 12), (3, 20))  # (depth, channels)


def rows_of(
    run_id: str, z: Sequence[np.ndarray], *, tag: str = "best", start: Sequence[np.ndarray] = ()
) -> pd.DataFrame:
    """Parameter rows of a run from displacements (4, transitions, channels), one array a layer."""
    parts = []
    for index, values in enumerate(z):
        _, transitions, channels = values.shape

        def raw(z: np.ndarray, suffix: str = "") -> dict[str, np.ndarray]:
            s, r, x, y = z.reshape(4, -1)
            numbers = {"scale": np.exp(-s), "rotate": -r, "translate_x": -2 * x,
                       "translate_y": 2 * y}  # fmt: skip
            return {name + suffix: v.astype(np.float32) for name, v in numbers.items()}

        columns = {
            "run_id": run_id, "tag": tag, "step": 1, "layer_index": index, "layer": f"l{index}",
            "channel": np.tile(np.arange(channels), transitions), "reachable": True,
            "transition": np.repeat(np.arange(transitions), channels), **raw(values),
        }  # fmt: skip
        if len(start):
            columns |= raw(start[index], "_start")
        parts.append(pd.DataFrame(columns))
    return completed(pd.concat(parts, ignore_index=True))


def runs_of(
    cells: dict[tuple[str, str, str, str, str], int],
) -> pd.DataFrame:
    """(network, dataset, init, recipe, control) -> how many runs."""
    names = ["network", "dataset", "init", "recipe", "control"]
    lines = [
        dict(zip(names, cell, strict=True)) | {"replicate": k, "convolution": "3t",
        "run_id": "-".join([*cell, f"r{k}"])}
        for cell, count in cells.items()
        for k in range(1, count + 1)
    ]  # fmt: skip
    return pd.DataFrame(lines)


def agreeing(
    runs: pd.DataFrame, share: float, *, seed: int = 0, layers: Sequence[tuple[int, int]] = LAYERS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Parameters, and tuning that is `share` times their net motion and noise for the rest."""
    rng = np.random.default_rng(seed)
    parameters, tuning = [], []
    for run_id in runs["run_id"]:
        # two equal steps of one parameter a channel would be told apart; here all four at once,
        # small enough that their composition is close to their sum
        z = [rng.normal(0, 1e-3, (4, depth - 1, channels)) for depth, channels in layers]
        parameters.append(rows_of(run_id, z))
        for index, values in enumerate(z):
            net = values.sum(axis=1) / values.sum(axis=1).std()
            noise = rng.normal(0, 1, net.shape)
            answers = share * net + np.sqrt(1 - share**2) * noise
            columns = dict(zip(INDEX_OF.values(), answers, strict=True))
            tuning.append(
                pd.DataFrame({**columns, **{f"own_{k}": v for k, v in columns.items()}}).assign(
                    run_id=run_id, layer_index=index, layer=f"l{index}",
                    channel=np.arange(net.shape[1]),
                )
            )  # fmt: skip
    return pd.concat(parameters, ignore_index=True), pd.concat(tuning, ignore_index=True)


def grid(
    networks: Sequence[str] = ("resnet18",),
    datasets: Sequence[str] = ("gestures", "scenes"),
    inits: Sequence[str] = ("pretrained",),
    recipes: Sequence[str] = ("paper",),
    controls: Sequence[str] = ("none",),
    *,
    each: int = 3,
) -> pd.DataFrame:
    """Runs of all cells."""
    return runs_of(
        dict.fromkeys(product(networks, datasets, inits, recipes, controls), each)
    )  # fmt: skip


WIDE = ((3, 400), (2, 300))


def moving(
    runs: pd.DataFrame,
    *,
    by_channel: float = 0.0,
    by_dataset: float = 0.0,
    spread: float = 0.0,
    layers: tuple[tuple[int, int], ...] = WIDE,
    seed: int = 0,
) -> pd.DataFrame:
    """Displacements of variance 1: these shares of it of the channel, and of channel x data set."""
    rng = np.random.default_rng(seed)
    shapes = [(4, depth - 1, channels) for depth, channels in layers]
    common: dict[object, list[np.ndarray]] = {}

    def drawn(key: object) -> list[np.ndarray]:
        return common.setdefault(key, [rng.normal(0, 1, shape) for shape in shapes])

    parts = []
    for run in runs.itertuples():
        rest = np.sqrt(1 - by_channel - by_dataset)
        start = [spread * rng.normal(0, 1, shape) for shape in shapes]
        z = [
            0.05 * (np.sqrt(by_channel) * a + np.sqrt(by_dataset) * b + rest * rng.normal(0, 1, s))
            + begun
            for a, b, s, begun in zip(drawn(run.network), drawn((run.network, run.dataset)), shapes,
                                      start, strict=True)
        ]  # fmt: skip
        parts.append(rows_of(str(run.run_id), z, start=start))
    return pd.concat(parts, ignore_index=True)


PAIRS = {"moving": [("right", "left"), ("up", "down")]}


def preferring(
    parameters: pd.DataFrame, share: float, *, seed: int = 0, bias: float = 0.0
) -> pd.DataFrame:
    """Preferences that follow px and py by `share`, noise for the rest."""
    rng = np.random.default_rng(seed)
    motion = net_motion(parameters)
    parts = []
    for (towards, away), p in zip(PAIRS["moving"], ("px", "py"), strict=True):
        z = motion[p] / motion[p].std()
        more = share * z + np.sqrt(1 - share**2) * rng.normal(0, 1, len(z)) + bias
        for label, sign in ((towards, 1), (away, -1)):
            columns = motion[["run_id", "layer_index", "layer", "channel"]]
            parts.append(columns.assign(label=label, preference=sign * more / 2, n_clips=4))
    return pd.concat(parts, ignore_index=True)
