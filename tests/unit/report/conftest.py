"""A finished study, made up: tables as the statistics stage writes them, and small figures."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from threetconv.figures import save

VARIANTS = (("pretrained", "3t"), ("scratch", "3t"), ("pretrained", "3d"))
PAPER = {"gestures": "jester", "scenes": "ucf101"}


def make_runs(networks: list[str], datasets: list[str], replicates: int) -> pd.DataFrame:
    rows = []
    cells = itertools.product(networks, datasets, VARIANTS, range(1, replicates + 1))
    for i, (network, dataset, (init, convolution), replicate) in enumerate(cells):
        rows.append(
            {
                "run_id": f"{network}-{dataset}-{init}-{convolution}-r{replicate}",
                "network": network,
                "dataset": dataset,
                "init": init,
                "convolution": convolution,
                "control": "none",
                "replicate": replicate,
                "seed": 1000 + i,
                "source": "trained",
                "optimiser": "adam",
                "lr": 3e-3,
                "sum_lr2": 1e-3,
                "n_updates": 300,
                "best_epoch": 2 + i % 2,
                "best_step": 200 + 100 * (i % 2),
                "frames": 16,
                "height": 32,
                "width": 32,
                "width_factor": 0.25,
                "num_classes": 8,
                "n_parameters": 734_219 + i,
                "n_temporal": 8064 if convolution == "3t" else 0,
                "weights_sha256": f"{i:064x}",
                "git_sha": "0123abcd",
                "versions": json.dumps({"torch": "2.14.1", "numpy": "2.4.6"}),
                "seconds": 25.5 + i,
                "status": "ok",
            }
        )
    return pd.DataFrame(rows)


def make_metrics(runs: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (run_id, 100 * epoch, epoch, split, "accuracy", 0.2 * epoch, n)
        for run_id in runs["run_id"]
        for epoch in (1, 2, 3)
        for split, n in (("train", 1600), ("val", 320))
    ]
    return pd.DataFrame(rows, columns=["run_id", "step", "epoch", "split", "metric", "value", "n"])


def make_accuracy(runs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    keys = ["network", "dataset", "convolution", "init"]
    for i, (key, group) in enumerate(runs.groupby(keys)):
        known = key[1] in PAPER
        rows.append(
            dict(zip(keys, key, strict=True))
            | {
                "n_runs": len(group),
                "accuracy_mean": 61.23 + i,
                "accuracy_min": 58.17 + i,
                "accuracy_max": 64.89 + i,
                "chance": 12.5,
                "n_clips": 320,
                "n_parameters": 734_219 + i,
                "n_temporal": 8064,
                "paper_dataset": PAPER.get(key[1], ""),
                "paper_accuracy": 84.9 if known else np.nan,
                "paper_n_parameters": 7_419_121.0 if known else np.nan,
            }
        )
    return pd.DataFrame(rows)


def make_displacement(runs: pd.DataFrame) -> pd.DataFrame:
    rows = []
    cells = runs[runs["convolution"] == "3t"].groupby(["network", "dataset", "init"])
    for i, (key, group) in enumerate(cells):
        for j, parameter in enumerate(("s", "r", "px", "py")):
            mean = (28.04 + i) / (j + 1)
            row = {
                "table": {"pretrained": 2, "scratch": 4}[key[2]],
                "network": key[0],
                "dataset": key[1],
                "init": key[2],
                "parameter": parameter,
                "n_runs": len(group),
                "paper_dataset": PAPER.get(key[1], ""),
                "paper_mean": 28.0 if key[1] in PAPER else np.nan,
                "paper_sd": 46.14 if key[1] in PAPER else np.nan,
            }
            for suffix, factor, n in (("", 1.0, 8064), ("_reachable", 1.35, 5248)):
                values = {
                    "n_rows": n if key[0] == "resnet18" else 6912,
                    "identity_share": 0.35,
                    "mean": mean * factor,
                    "mean_min": 0.9 * mean * factor,
                    "mean_max": 1.1 * mean * factor,
                    "sd": 1.4 * mean * factor,
                    "sd_min": 1.3 * mean * factor,
                    "sd_max": 1.5 * mean * factor,
                    "noise_floor": 21.7,
                    "floor_ratio": mean * factor / 21.7,
                }
                row |= {f"{name}{suffix}": value for name, value in values.items()}
            rows.append(row)
    return pd.DataFrame(rows)


def make_tests(networks: list[str], datasets: list[str]) -> pd.DataFrame:
    families = []
    if len(datasets) > 1:
        blocks = [f"{n}, {i}" for n in networks for i in ("pretrained", "scratch")]
        families.append(("F1", " / ".join(datasets[:2]), blocks))
    blocks = [f"{n}, {d}" for n in networks for d in datasets]
    families.append(("F2", "scratch / pretrained", blocks))
    rows = []
    for family, contrast, blocks in families:
        for stratum, (j, parameter) in itertools.product(
            ["all", *blocks], enumerate(("s", "r", "px", "py"))
        ):
            blocked = stratum == "all"
            estimate = 1.537 - 0.2 * j
            rows.append(
                {
                    "family": family,
                    "contrast": contrast,
                    "stratum": stratum,
                    "parameter": parameter,
                    "scope": "model",
                    "layer_index": -1,
                    "checkpoint": "best",
                    "unit": "run",
                    "n_a": 12 if blocked else 3,
                    "n_b": 12 if blocked else 3,
                    "method": "permutation of run labels within blocks",
                    "library_version": "threetconv 0.1.0",
                    "statistic": np.log(estimate),
                    "estimate": estimate,
                    "ci_low": 0.8 * estimate,
                    "ci_high": 1.25 * estimate,
                    "ci_method": "Welch",
                    "p_raw": 0.0039 if blocked else 0.1,
                    "p_floor": 1.25e-5 if blocked else 0.1,
                    "exact": True,
                    "n_permutations": 160_000 if blocked else 20,
                    "p_adjusted": [0.0156, 0.0234, 0.21, 0.43][j] if blocked else np.nan,
                    "adjustment": "Holm over 4 parameters of the stratum",
                    "hedges_g": 1.29,
                    "cliffs_delta": 0.67,
                    "wasserstein": 0.4,
                    "status": "ok" if blocked else "untestable",
                    "reason": "" if blocked else "the smallest attainable p is 0.1",
                    "rng_seed": 2006,
                    "sentence": f"{family} {stratum} {parameter}: moved {estimate:.3g} times as "
                    "far.",
                }
            )
    return pd.DataFrame(rows)


def make_config(datasets: list[str], *, synthetic: bool) -> dict[str, Any]:
    return {
        "study": "embedded",
        "title": "What video networks learn about motion",
        "seed": 2006,
        "replicates": 3,
        "width": 0.25,
        "datasets": {
            name: {"adapter": "jester", "clip": {"frames": 16, "height": 32, "width": 32}}
            | ({"stands_for": PAPER[name]} if name in PAPER else {})
            | ({"render": {"set": name}} if synthetic else {})
            for name in datasets
        },
        "training": {"epochs": 3, "learning_rate": {"3t": 0.003, "3d": 0.003}},
        "weights_2d": {"source": "stills"},
        "statistics": {"alpha": 0.05},
    }


def make_figures(folder: Path, names: list[str]) -> dict[str, Path]:
    paths = {}
    for i, name in enumerate(names):
        figure = Figure(figsize=(3, 1))
        axes = figure.subplots()
        axes.plot([0, 1], [i, 1], color="#1f2a37")
        axes.set_title(f"number {i}")
        suffix = "png" if i == 0 else "svg"
        paths[name] = folder / f"figure_{i}.{suffix}"
        save(figure, paths[name], dpi=50)
    return paths


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Arguments of `build_document` for a study of any networks and datasets."""

    def make(
        networks: tuple[str, ...] = ("googlenet", "resnet18"),
        datasets: tuple[str, ...] = ("gestures", "scenes"),
        replicates: int = 3,
        synthetic: bool = True,
    ) -> dict[str, Any]:
        nets, sets = list(networks), list(datasets)
        runs = make_runs(nets, sets, replicates)
        names = [
            *(f"clips_{name}" for name in sets),
            "accuracy",
            "distributions_pretrained",
            "distributions_scratch",
            "histograms_pretrained",
            "effects",
        ]
        return {
            "runs": runs,
            "metrics": make_metrics(runs),
            "accuracy_table": make_accuracy(runs),
            "displacement_table": make_displacement(runs),
            "tests_table": make_tests(nets, sets),
            "figures": make_figures(tmp_path, names),
            "config": make_config(sets, synthetic=synthetic),
            "provenance_facts": {"Git commit": "0123abcd", "Machine": "2 cores"},
        }

    return make


@pytest.fixture
def study(make_study: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """The embedded study: two networks, two synthetic datasets, three replicates."""
    return make_study()
