"""A small simulated study: every table that the statistics read, with a known truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

LAYERS = ((7, 8), (3, 12), (3, 20))  # (temporal depth, channels)


class Study(NamedTuple):
    """Parameter table with hive columns, runs, snapshots."""

    parameters: pd.DataFrame
    runs: pd.DataFrame
    snapshots: pd.DataFrame


def build(
    *,
    k: int = 3,
    seed: int = 0,
    ratio: float = 1.0,
    spread: float = 0.1,
    still: tuple[str, ...] = (),
    layers: tuple[tuple[int, int], ...] = LAYERS,
    networks: tuple[str, ...] = ("googlenet", "resnet18"),
    tag: str = "best",
) -> Study:
    """Runs of 2 datasets x 2 inits; "gestures" moves `ratio` times as far as "scenes".

    The last transition of the last layer is unreachable. Datasets in `still` stay at the identity.
    """
    rng = np.random.default_rng(seed)
    tables, runs, snapshots = [], [], []
    for network in networks:
        for dataset in ("gestures", "scenes"):
            for init in ("pretrained", "scratch"):
                for replicate in range(1, k + 1):
                    run_id = f"{network}-{dataset}-{init}-3t-r{replicate}"
                    runs.append((run_id, network, dataset, init, replicate, "3t", "none"))
                    snapshots.append((run_id, 100, 1, tag, 100 * 0.005**2))
                    factor = 0.01 * np.exp(rng.normal(0, spread))
                    factor *= ratio if dataset == "gestures" else 1
                    factor *= 0 if dataset in still else 1
                    table = rows(rng, factor, layers)
                    tables.append(
                        table.assign(
                            run_id=run_id, step=100, epoch=1, tag=tag,
                            network=network, dataset=dataset, init=init,
                        )
                    )  # fmt: skip
    return Study(
        pd.concat(tables, ignore_index=True),
        pd.DataFrame(
            runs,
            columns=["run_id", "network", "dataset", "init", "replicate", "convolution", "control"],
        ),
        pd.DataFrame(snapshots, columns=["run_id", "step", "epoch", "tag", "sum_lr2"]),
    )


def rows(
    rng: np.random.Generator, factor: float, layers: tuple[tuple[int, int], ...]
) -> pd.DataFrame:
    """The rows of one run with t4-distributed displacements of scale `factor`."""
    tables = []
    for index, (depth, channels) in enumerate(layers):
        transition = np.repeat(np.arange(depth - 1), channels)
        reachable = ~((index == len(layers) - 1) & (transition == depth - 2))
        z = rng.standard_t(4, size=(4, transition.size)) * factor * reachable
        tables.append(
            pd.DataFrame(
                {
                    "layer_index": index, "layer": f"layer{index}",
                    "channel": np.tile(np.arange(channels), depth - 1),
                    "transition": transition, "reachable": reachable,
                    "scale": np.exp(-z[0]).astype(np.float32), "rotate": z[1].astype(np.float32),
                    "translate_x": z[2].astype(np.float32), "translate_y": z[3].astype(np.float32),
                }
            )
        )  # fmt: skip
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    """The builder, for tests that want a study of their own."""
    return build


@pytest.fixture(scope="session")
def study() -> Study:
    """Three runs per cell, gestures move 1.8 times as far."""
    return build(k=3, ratio=1.8)


CELLS = (("googlenet", "resnet18"), ("gestures", "scenes"), ("pretrained", "scratch"))


def summary_lines(
    *,
    k: int = 3,
    seed: int = 0,
    spread: float = 0.1,
    cells: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]] = CELLS,
    controls: tuple[str, ...] = (),
    shift: Callable[..., float] = lambda **_: 0.0,
    steps: tuple[int, ...] = (50, 100),
    layers: int = 3,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Summaries without rows behind them, and runs: what tests of whole tables need.

    ln mean |z| of a layer is -5 + shift(network, dataset, init, control, layer) + the run's noise
    (SD `spread`, a quarter of it again for each layer); the model is the mean of its layers. The
    last step is a snapshot too, and the best one.
    """
    rng = np.random.default_rng(seed)
    lines, runs = [], []
    for key in product(*cells, ("none", *controls)):
        cell = dict(zip(("network", "dataset", "init", "control"), key, strict=True))
        for replicate in range(1, k + 1):
            part = f"{key[3]}-" if key[3] != "none" else ""
            run_id = f"{key[0]}-{key[1]}-{key[2]}-3t-{part}r{replicate}"
            runs.append({"run_id": run_id, **cell, "replicate": replicate, "convolution": "3t"})
            own = rng.normal(0, spread, 4)
            for step in steps:
                d = np.array([[-5 + shift(**cell, layer=i) for i in range(layers)]] * 4)
                d += np.log(step / steps[-1]) / 2 + own[:, None]
                d += rng.normal(0, spread / 4, d.shape)
                tags = ("snapshot", "last", "best") if step == steps[-1] else ("snapshot",)
                at = {"run_id": run_id, **cell, "replicate": replicate, "step": step}
                lines += [at | line | {"tag": tag} for tag in tags for line in kinds(d)]
    table = pd.DataFrame(lines)
    d = table["log_mean_abs"]
    floor = 0.005 * np.sqrt(table["step"] / steps[-1])
    table = table.assign(
        sd=np.exp(d + 0.3), median_abs=np.exp(d - 0.3), mu_paper=np.exp(d), n_identity=0,
        noise_floor=floor, floor_ratio=np.exp(d) / floor, sum_lr2=1e-6 * table["step"],
    )  # fmt: skip
    return table, pd.DataFrame(runs)


def kinds(d: np.ndarray) -> Iterator[dict[str, object]]:
    """Layer and model lines of one snapshot from D by parameter and layer."""
    for parameter, by_layer in zip(("s", "r", "px", "py"), d, strict=True):
        for rows in ("all", "reachable"):
            same = {"parameter": parameter, "rows": rows, "n": 20 if rows == "all" else 15}
            for i, value in enumerate(by_layer):
                yield same | {
                    "scope": "layer", "layer_index": i, "layer": f"layer{i}",
                    "weighting": "pooled", "log_mean_abs": value,
                }  # fmt: skip
            for weighting in ("pooled", "layer"):
                yield same | {
                    "scope": "model", "layer_index": -1, "layer": "", "weighting": weighting,
                    "log_mean_abs": by_layer.mean(),
                }  # fmt: skip


@pytest.fixture(scope="session")
def make_summaries() -> Callable[..., tuple[pd.DataFrame, pd.DataFrame]]:
    """The builder of summaries and runs."""
    return summary_lines
