"""A small simulated study: every table that the statistics read, with a known truth."""

from __future__ import annotations

from collections.abc import Callable
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
