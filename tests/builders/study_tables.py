"""The tables and the configuration of a finished study, made up."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pandas as pd

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


def with_controls(runs: pd.DataFrame, network: str = "resnet18") -> pd.DataFrame:
    """The runs table with static and label-shuffled runs of one network, from scratch."""
    chosen = (runs["network"] == network) & (runs["init"] == "scratch")
    frames = [runs]
    for name in ("static", "label-shuffled"):
        more = runs[chosen].assign(control=name)
        frames.append(more.assign(run_id=more["run_id"].str.replace("-3t-", f"-3t-{name}-")))
    return pd.concat(frames, ignore_index=True)


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


CONTROLS = ("static", "frame-shuffled", "label-shuffled")
LAYERS = ("conv1", "layer1.0.conv1", "layer1.0.conv2", "layer4.1.conv2")


def make_tests(networks: list[str], datasets: list[str]) -> pd.DataFrame:
    """All families at both checkpoints, and those of two arms by layer."""
    inits = ("pretrained", "scratch")
    contrast = " / ".join(datasets[:2])
    by_dataset = [f"{n}, {d}" for n in networks for d in datasets]
    families = []
    if len(datasets) > 1:
        families.append(("dataset", contrast, [f"{n}, {i}" for n in networks for i in inits]))
    families.append(("init", "scratch / pretrained", by_dataset))
    if len(datasets) > 1:
        families.append(("dataset x init", f"{contrast}, scratch / pretrained", networks))
    families += [("controls", f"none / {name}", [f"{b}, scratch" for b in by_dataset])
                 for name in CONTROLS]  # fmt: skip
    rows = []
    for family, name, blocks in families:
        for checkpoint, stratum, (j, parameter) in itertools.product(
            ("best", "matched"), ["all", *blocks], enumerate(("s", "r", "px", "py"))
        ):
            blocked = stratum == "all"
            line = tests_line(
                family, name, stratum, parameter, estimate=1.537 - 0.2 * j, checkpoint=checkpoint
            )
            if blocked:
                adjusted = [0.0156, 0.0234, 0.21, 0.43][j]
                line |= {"n_a": 12, "n_b": 12, "p_raw": 0.0039, "p_floor": 1.25e-5,
                         "p_adjusted": adjusted, "status": "ok", "reason": ""}  # fmt: skip
            rows.append(line)
            if stratum in networks or family not in {"dataset", "init"} or not blocked:
                continue
            for network, (i, _) in itertools.product(networks, enumerate(LAYERS)):
                layer = tests_line(
                    family, name, network, parameter, estimate=1.2 + i, checkpoint=checkpoint
                )
                layer |= {"scope": "layer", "layer_index": i, "status": "ok", "p_raw": 0.003,
                          "p_floor": 0.001, "p_adjusted": 0.012 if i == 1 else 0.4,
                          "adjustment": "over layers", "sentence": ""}  # fmt: skip
                rows.append(layer)
    return pd.DataFrame(rows)


def tests_line(
    family: str, contrast: str, stratum: str, parameter: str, *, estimate: float, checkpoint: str
) -> dict[str, Any]:
    """An untestable line of the tests table; what is testable is filled in by the caller."""
    return {
        "family": family,
        "contrast": contrast,
        "stratum": stratum,
        "parameter": parameter,
        "scope": "model",
        "layer_index": -1,
        "checkpoint": checkpoint,
        "unit": "run",
        "n_a": 3,
        "n_b": 3,
        "method": "permutation of run labels within blocks",
        "library_version": "threetconv 0.1.0",
        "statistic": np.log(estimate),
        "estimate": estimate,
        "ci_low": 0.8 * estimate,
        "ci_high": 1.25 * estimate,
        "ci_method": "Welch",
        "p_raw": 0.1,
        "p_floor": 0.1,
        "exact": True,
        "n_permutations": 20,
        "p_adjusted": np.nan,
        "adjustment": "Holm over 4 parameters of the stratum",
        "hedges_g": 1.29,
        "cliffs_delta": 0.67,
        "wasserstein": 0.4,
        "status": "untestable",
        "reason": "the smallest attainable p is 0.1",
        "rng_seed": 2006,
        "sentence": f"{family} {contrast} {checkpoint} {stratum} {parameter}: moved "
        f"{estimate:.3g} times as far.",
    }


def make_sensitivity(networks: list[str], datasets: list[str]) -> pd.DataFrame:
    """Outcomes, MixedLM, equivalence and energy tests as lines of one table."""
    base = make_tests(networks, datasets).drop(columns="sentence")
    base = base[
        (base["scope"] == "model") & base["family"].isin(["dataset", "init", "dataset x init"])
    ]
    overall = base[base["stratum"] == "all"]
    frames = [overall.assign(outcome=name) for name in ("D, all rows, pooled", "ln SD")]
    arms = base[base["family"].isin(["dataset", "init"])]
    tost = arms.assign(
        outcome="D", method="TOST; equal means a ratio between 1/1.25 and 1.25", p_floor=0.0
    )
    best = arms["checkpoint"] == "best"
    mixed = arms[best & (arms["stratum"] != "all")].assign(
        outcome="ln mean |z| by layer", method="MixedLM, t(2k - 2)", unit="run x layer", status="ok"
    )
    energy = arms[best & (arms["parameter"] == "px")].assign(
        outcome="energy distance", parameter="px, py", method="permutation of run labels, energy"
    )
    frames += [tost, mixed, energy]
    table = pd.concat(frames, ignore_index=True)
    return table[["outcome", *[c for c in table.columns if c != "outcome"]]]


def make_profile(networks: list[str], datasets: list[str]) -> pd.DataFrame:
    rows = []
    cells = itertools.product(
        networks, datasets, ("pretrained", "scratch"), ("best", "matched"), enumerate(LAYERS),
        ("s", "r", "px", "py"),
    )  # fmt: skip
    for network, dataset, init, checkpoint, (i, layer), parameter in cells:
        mean = 0.01 * (1 + i) * (2 if dataset == datasets[0] else 1)
        dead = i == 3 and network == "resnet18"
        rows.append(
            {
                "network": network,
                "dataset": dataset,
                "init": init,
                "control": "none",
                "checkpoint": checkpoint,
                "layer_index": i,
                "layer": layer,
                "parameter": parameter,
                "n_runs": 3,
                "n_rows": 0 if dead else 96,
                "mean": np.nan if dead else mean,
                "ci_low": np.nan if dead else 0.8 * mean,
                "ci_high": np.nan if dead else 1.25 * mean,
                "noise_floor": 0.012,
                "floor_ratio": np.nan if dead else mean / 0.012,
                "reachable_share": 0.0 if dead else 1.0,
            }
        )
    return pd.DataFrame(rows)


def make_bootstrap(networks: list[str], datasets: list[str]) -> pd.DataFrame:
    base = make_tests(networks, datasets)
    base = base[(base["scope"] == "model") & base["family"].isin(["dataset", "init"])]
    keep = ["family", "contrast", "stratum", "parameter", "checkpoint", "estimate", "ci_low",
            "ci_high"]  # fmt: skip
    return (
        base.loc[base["checkpoint"] == "best", keep]
        .assign(level=0.95, n_resamples=1000, method="hierarchical bootstrap (descriptive)",
                status="descriptive", reason="", rng_seed=1)
        .reset_index(drop=True)
    )  # fmt: skip


def make_distances(networks: list[str], datasets: list[str]) -> pd.DataFrame:
    base = make_bootstrap(networks, datasets)
    base = base.loc[base["stratum"] != "all", ["family", "contrast", "stratum", "parameter"]]
    return base.assign(
        checkpoint="best", unit="row", n_a=5248, n_b=5248, wasserstein=0.012, energy=0.034,
        ks=0.12, cliffs_delta=0.21, note="",
    )  # fmt: skip


def make_calibration(networks: list[str]) -> pd.DataFrame:
    rows = []
    tests = [
        ("permutation of runs", "run", "4 blocks", "type I error", 0.048, "valid"),
        ("Kolmogorov-Smirnov", "row", "1 block", "type I error", 0.66, "liberal"),
        ("Welch on D", "run", "1 block", "type I error", 0.05, "valid"),
        ("Welch on D", "run", "1 block", "coverage", 0.951, "valid"),
        ("permutation of runs", "run", "4 blocks", "power", 0.72, ""),
    ]
    for network, (test, unit, design, quantity, estimate, valid), k in itertools.product(
        networks, tests, (1, 3, 5)
    ):
        untestable = k == 1 and unit == "run"
        rows.append(
            {
                "network": network,
                "truth": "effect" if quantity == "power" else "null",
                "test": test,
                "unit": unit,
                "design": design,
                "runs_per_arm": k,
                "tau": 0.1,
                "effect": 1.25 if quantity == "power" else 1.0,
                "quantity": quantity,
                "estimate": 0.0 if untestable else estimate,
                "ci_low": 0.0 if untestable else estimate - 0.02,
                "ci_high": 0.004 if untestable else estimate + 0.02,
                "n_replicates": 1000,
                "nominal": 0.95 if quantity == "coverage" else 0.05,
                "n_untestable": 1000 if untestable else 0,
                "valid": "untestable" if untestable else valid,
                "note": "",
            }
        )
    return pd.DataFrame(rows)


def make_planted() -> pd.DataFrame:
    """Translation half recovered, rotation untestable (and s moved as well), nothing planted."""
    # by parameter: beyond the controls, and the direction of what was planted
    beyond = {"moving": ("no", "no", "yes", "yes"), "turning": ("yes", "yes", "no", "no"),
              "still": ("no", "no", "no", "no")}  # fmt: skip
    directions = {("moving", "px"): "yes", ("moving", "py"): "no", ("turning", "r"): "untestable"}
    motions = {"moving": "translation", "turning": "rotation", "still": "none"}
    comparisons = ("noise floor", "static", "frame-shuffled", "label-shuffled", "no motion")
    rows = []
    for dataset, (j, parameter), comparison in itertools.product(
        motions, enumerate(("s", "r", "px", "py")), comparisons
    ):
        if dataset == "still" and comparison == "no motion":
            continue
        moved = beyond[dataset][j]
        direction = directions.get((dataset, parameter), "")
        parametric = comparison == "noise floor"
        rows.append(
            {
                "network": "resnet18",
                "dataset": dataset,
                "motion": motions[dataset],
                "init": "scratch",
                "parameter": parameter,
                "expected": direction != "",
                "comparison": comparison,
                "checkpoint": "matched",
                "n_a": 5,
                "n_b": 0 if parametric else 5,
                "estimate": 2.5 if moved == "yes" else 0.98,
                "ci_low": 2.0 if moved == "yes" else 0.9,
                "ci_high": 3.1 if moved == "yes" else 1.07,
                "p_raw": np.nan if parametric else 0.0079,
                "p_floor": np.nan if parametric else 0.0079,
                "p_adjusted": np.nan if parametric else 0.016,
                "status": "ok",
                "reason": "",
                "beyond": moved,
                "beyond_controls": moved,
                "in_direction": direction,
                "recovered": direction if direction and moved == "yes" else moved,
                "layer_index": -1,
            }
        )
    table = pd.DataFrame(rows)
    first = table.assign(
        layer_index=0, estimate=table["estimate"] + 1, recovered="no", beyond_controls="no"
    )
    return pd.concat([table, first], ignore_index=True)


def make_planted_tuning() -> pd.DataFrame:
    """What channels answer to: the same lines without floor and direction."""
    table = make_planted()
    table = table[table["comparison"] != "noise floor"]
    names = {"s": "zoom_index", "r": "turn_index", "px": "direction_x", "py": "direction_y"}
    planted = table["expected"] & (table["layer_index"] == 0) & (table["parameter"] == "px")
    verdicts = table["beyond_controls"].mask(planted, "yes")
    return table.assign(
        parameter=table["parameter"].map(names), checkpoint="best", in_direction="",
        beyond_controls=verdicts, recovered=verdicts,
    ).reset_index(drop=True)  # fmt: skip


def make_planted_where() -> pd.DataFrame:
    """Of the three planted combinations: recovered, lost in direction, not known."""
    table = make_planted()
    table = table[table["expected"] & (table["layer_index"] < 0)]
    keys = ["network", "dataset", "motion", "init", "parameter", "beyond_controls", "in_direction",
            "recovered"]  # fmt: skip
    table = table.drop_duplicates(["dataset", "parameter"])[keys].reset_index(drop=True)
    numbers = {
        "n_runs": 5, "n_shuffled": 5, "accuracy": 91.2, "accuracy_shuffled": 26.4, "chance": 25.0,
        "direction_use": 83.1, "use_low": 77.7, "use_high": 88.8, "use_p": 0.004,
        "use_p_floor": 0.004, "drop": 44.4, "drop_all": 55.5, "share": 0.8, "drop_first": 11.1,
        "layer": "layer1.0.conv1", "layer_index": 1, "drop_layer": 22.2,
    }  # fmt: skip
    return table.assign(
        **numbers, kind=["translation", "translation", "rotation"], tuning=["yes", "no", "no"],
        lost=["", "direction", "unknown"], reason=["", "", "direction cannot be tested"],
    )  # fmt: skip


def make_planted_layers() -> pd.DataFrame:
    table = make_planted()
    table = table[table["layer_index"] < 0]
    table = table[(table["dataset"] == "turning") & (table["parameter"] == "r")]
    frames = [table.assign(layer_index=i, layer=name) for i, name in enumerate(LAYERS[:2])]
    return pd.concat(frames, ignore_index=True)


def make_alignment() -> pd.DataFrame:
    rows = []
    for scope, (axis, parameter, value), control in itertools.product(
        ("layer", "model", "first"),
        (("right - left", "px", 0.31), ("up - down", "py", 0.02)),
        ("none", "static"),
    ):
        correlation = value if control == "none" else -0.01
        correlation += 0.4 * (scope == "first")
        rows.append(
            {
                "network": "resnet18",
                "dataset": "moving",
                "motion": "translation",
                "init": "scratch",
                "control": control,
                "scope": scope,
                "layer_index": -1 if scope == "model" else 0,
                "layer": "" if scope == "model" else "conv1",
                "axis": axis,
                "parameter": parameter,
                "n_runs": 5,
                "correlation": correlation,
                "ci_low": correlation - 0.1,
                "ci_high": correlation + 0.1,
                "p_raw": 0.02 if correlation > 0.1 else 0.5,
                "p_floor": 0.02,
                "p_adjusted": 0.04 if correlation > 0.1 else 0.5,
                "status": "ok",
                "reason": "",
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


def make_extra() -> dict[str, Any]:
    """Layers, sensitivity, descriptions, calibration, planted motion."""
    nets, sets = ["googlenet", "resnet18"], ["gestures", "scenes"]
    return {
        "layer_profile": make_profile(nets, sets),
        "sensitivity": make_sensitivity(nets, sets),
        "bootstrap": make_bootstrap(nets, sets),
        "distances": make_distances(nets, sets),
        "calibration": make_calibration(nets),
        "planted_table": make_planted(),
        "planted_layers": make_planted_layers(),
        "planted_tuning": make_planted_tuning(),
        "planted_where": make_planted_where(),
        "alignment": make_alignment(),
    }
