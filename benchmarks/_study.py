"""The tables of a study of the paper's size, as its runs would leave them: seeded noise for values.

Layers, channels and reachable transitions are those of the full-width networks at the paper's clip
shapes; only the numbers in them are drawn.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from threetconv.layer.units import IDENTITY
from threetconv.networks.build import build_network
from threetconv.networks.layer_info import LayerInfo
from threetconv.networks.trace import trace
from threetconv.records.parameters import RAW, SCHEMA
from threetconv.support.files import write_parquet

CLIPS = {"jester": (30, 150, 224), "ucf101": (30, 168, 224)}  # frames, height, width
CLASSES = {"jester": 27, "ucf101": 101}
NETWORKS = ("googlenet", "resnet18")
VARIANTS = (("pretrained", "3t"), ("scratch", "3t"), ("pretrained", "3d"))
LEARNING_RATE, EVERY = 5e-5, 2000  # updates between two snapshots
EPOCHS = 100


def make_study(folder: Path, *, rows: float, seeds: int, width: float = 1.0, seed: int = 1) -> int:
    """Write parameters/, runs, snapshots and metrics below `folder`.

    Args:
        folder: where to.
        rows: about how many rows the parameter tables have together; decides how many snapshots a
            run has (at least four).
        seeds: runs per cell.
        width: factor on every channel count.
        seed: of all values.

    Returns:
        The number of rows.
    """
    layers = {
        (network, dataset): trace(
            build_network(
                network, num_classes=CLASSES[dataset], clip_shape=clip, width=width, seed=0
            ),
            clip,
        )
        for network, (dataset, clip) in product(NETWORKS, CLIPS.items())
    }
    once = sum(transitions(found).sum() for found in layers.values()) * 2 * seeds
    n_snapshots = max(4, round(rows / once))
    rng = np.random.default_rng(seed)
    runs, snapshots, metrics, total = [], [], [], 0
    for network, dataset, (init, convolution) in product(NETWORKS, CLIPS, VARIANTS):
        for replicate in range(1, seeds + 1):
            run_id = f"{network}-{dataset}-{init}-{convolution}-r{replicate}"
            steps = snapshot_table(run_id, n_snapshots)
            last = int(steps["step"].max())
            runs.append(
                {
                    "run_id": run_id, "network": network, "dataset": dataset, "init": init,
                    "convolution": convolution, "recipe": "paper", "control": "none",
                    "replicate": replicate, "num_classes": CLASSES[dataset],
                    "n_parameters": 33_000_000,
                    "n_temporal": 32_256, "best_epoch": EPOCHS, "best_step": last,
                    "n_updates": last, "sum_lr2": last * LEARNING_RATE**2,
                }
            )  # fmt: skip
            metrics.append(metric_table(rng, run_id))
            if convolution == "3d":
                continue
            snapshots.append(steps)
            table = parameter_table(rng, layers[network, dataset], steps)
            total += len(table)
            cell = f"network={network}/dataset={dataset}/init={init}/recipe=paper"
            write_parquet(table, folder / "parameters" / cell / f"{run_id}.parquet", SCHEMA)
    pd.DataFrame(runs).to_parquet(folder / "runs.parquet", index=False)
    pd.concat(snapshots, ignore_index=True).to_parquet(folder / "snapshots.parquet", index=False)
    pd.concat(metrics, ignore_index=True).to_parquet(folder / "metrics.parquet", index=False)
    return total


def transitions(layers: list[LayerInfo]) -> np.ndarray:
    """Rows of each layer in one snapshot."""
    return np.array([(layer.kernel[0] - 1) * layer.channels for layer in layers])


def snapshot_table(run_id: str, n: int) -> pd.DataFrame:
    """`n` snapshots: init, then one every `EVERY` updates; best and last are at the end."""
    step = np.append(EVERY * np.arange(n - 1), EVERY * (n - 2))
    return pd.DataFrame(
        {
            "run_id": run_id,
            "step": step,
            "epoch": (EPOCHS * step // step.max()).astype(np.int32),
            "tag": ["init", *["snapshot"] * (n - 3), "best", "last"],
            "sum_lr2": step * LEARNING_RATE**2,
        }
    )


def parameter_table(
    rng: np.random.Generator, layers: list[LayerInfo], snapshots: pd.DataFrame
) -> pd.DataFrame:
    """All snapshots of one run: t4 displacements that grow as a random walk does."""
    counts = transitions(layers)
    spread = np.exp(rng.normal(0, 0.1, len(layers)) + rng.normal(0, 0.1))
    fixed = {
        "layer_index": [layer.index for layer in layers],
        "layer": pd.Categorical([layer.name for layer in layers]),
        "kernel_t": [layer.kernel[0] for layer in layers],
        "kernel_hw": [layer.kernel[1] for layer in layers],
        "jump": [layer.jump for layer in layers],
        "order_leak": [layer.order_leak for layer in layers],
    }
    one = pd.DataFrame(fixed).iloc[np.repeat(np.arange(len(layers)), counts)]
    one = one.assign(
        channel=np.concatenate(
            [np.tile(np.arange(layer.channels), layer.kernel[0] - 1) for layer in layers]
        ),
        transition=np.concatenate(
            [np.repeat(np.arange(layer.kernel[0] - 1), layer.channels) for layer in layers]
        ),
        reachable=np.concatenate([np.repeat(layer.reachable, layer.channels) for layer in layers]),
    )
    n, rows = len(snapshots), len(one)
    tails = 1 / np.sqrt(rng.chisquare(4, (4, rows)) / 4)
    size = tails * np.repeat(spread, counts) * one["reachable"].to_numpy()
    walked = np.sqrt(snapshots["sum_lr2"].to_numpy())
    table = one.iloc[np.tile(np.arange(rows), n)].reset_index(drop=True)
    for name in ("run_id", "step", "epoch", "tag"):
        values = snapshots[name]
        values = values.astype("category") if name in {"run_id", "tag"} else values
        table[name] = values.iloc[np.repeat(np.arange(n), rows)].array
    for scale, (parameter, raw) in zip(size, RAW.items(), strict=True):
        z = walked[:, None] * scale * rng.standard_normal((n, rows), dtype=np.float32)
        table[f"{raw}_start"] = np.float32(IDENTITY[raw])
        table[f"{raw}_walk"] = np.repeat(walked**2, rows).astype(np.float32)
        table[raw] = (np.exp(z) if parameter == "s" else z).astype(np.float32).ravel()
    return table[SCHEMA.names]


def metric_table(rng: np.random.Generator, run_id: str) -> pd.DataFrame:
    """Accuracy by epoch that rises and levels off."""
    epoch = np.arange(1, EPOCHS + 1)
    value = 0.9 * (1 - np.exp(-epoch / 20)) + rng.normal(0, 0.01, EPOCHS)
    return pd.DataFrame(
        {
            "run_id": run_id, "step": epoch * 340, "epoch": epoch, "split": "val",
            "metric": "accuracy", "value": value.clip(0, 1), "n": 14_787,
        }
    )  # fmt: skip
