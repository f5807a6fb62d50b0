"""Finished tables for figures, made up, and what can be read off a drawn figure."""

from __future__ import annotations

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

CELLS = list(itertools.product(["googlenet", "resnet18"], ["gestures", "scenes"]))
INITS = ["pretrained", "scratch"]


def densities_table(cells=CELLS, inits=INITS) -> pd.DataFrame:
    """Two-sided Laplace-like curves whose width differs from cell to cell."""
    frames = []
    for k, ((network, dataset), init) in enumerate(itertools.product(cells, inits)):
        for parameter, reach in (("s", 0.4), ("r", 0.2)):
            scale = reach * 0.02 * (1 + k)
            support = reach * np.sinh(np.linspace(-4, 4, 161)) / np.sinh(4)
            frame = pd.DataFrame({"support": support})
            frame["density"] = np.exp(-np.abs(support) / scale) / (2 * scale)
            frames.append(
                frame.assign(
                    network=network,
                    dataset=dataset,
                    init=init,
                    parameter=parameter,
                    count=8064 - k,
                    identity_share=0.19 if network == "resnet18" else 0.0,
                    clipped_share=0.002,
                    c=0.002,
                )
            )
    return pd.concat(frames, ignore_index=True)


def joint_table(cells=CELLS, inits=INITS) -> pd.DataFrame:
    """Correlated normal densities on one grid; thresholds exact for a normal distribution."""
    grid = np.linspace(-0.1, 0.1, 41)
    x, y = (axis.ravel() for axis in np.meshgrid(grid, grid))
    frames = []
    for k, ((network, dataset), init) in enumerate(itertools.product(cells, inits)):
        sd = 0.01 * (1 + k / 4)
        peak = 1 / (2 * np.pi * sd**2)
        density = peak * np.exp(-(x**2 + y**2) / (2 * sd**2))
        levels = {f"hdr{share}": peak * (1 - share / 100) for share in (50, 80, 95)}
        frames.append(
            pd.DataFrame({"x": x, "y": y, "density": density}).assign(
                network=network, dataset=dataset, init=init, **levels
            )
        )
    return pd.concat(frames, ignore_index=True)


def effects_table() -> pd.DataFrame:
    rows = [
        (
            "dataset",
            "gestures / scenes",
            "resnet18",
            "s",
            "best",
            1.1,
            np.nan,
            np.nan,
            "untestable",
        ),
        ("dataset", "gestures / scenes", "googlenet", "px", "best", 1.15, 1.1, 1.2, "ok"),
        ("dataset", "gestures / scenes", "all", "s", "best", 1.5, 1.1, 2.0, "ok"),
        ("dataset", "gestures / scenes", "all", "s", "matched", 1.4, 1.1, 1.9, "ok"),
        ("dataset", "gestures / scenes", "all", "r", "best", 1.2, 0.8, 1.9, "ok"),
        ("init", "scratch / pretrained", "all", "s", "best", np.nan, np.nan, np.nan, "degenerate"),
        ("init", "scratch / pretrained", "all", "px", "best", 0.2, 0.0001, 900.0, "untestable"),
        ("controls", "none / static", "all", "s", "best", 1.3, 1.2, 1.4, "ok"),
        ("controls", "none / label-shuffled", "all", "s", "best", 1.05, 0.9, 1.2, "ok"),
    ]
    names = ["family", "contrast", "stratum", "parameter", "checkpoint"]
    table = pd.DataFrame(rows, columns=[*names, "estimate", "ci_low", "ci_high", "status"])
    layer = table.head(1).assign(scope="layer", estimate=77.0, status="ok")
    return pd.concat([table.assign(scope="model"), layer], ignore_index=True)


def profile_table() -> pd.DataFrame:
    """Four layers, of which the last of resnet18 cannot be reached."""
    rows = []
    for (network, dataset), init, i, parameter in itertools.product(
        CELLS, INITS, range(4), ["s", "r", "px", "py"]
    ):
        mean = 0.01 * (1 + i) * (2 if dataset == "gestures" else 1)
        share = 0.0 if network == "resnet18" and i == 3 else 1.0
        line = {"network": network, "dataset": dataset, "init": init, "control": "none",
                "checkpoint": "matched", "layer_index": i, "layer": f"block{i}.conv",
                "parameter": parameter, "n_runs": 3, "mean": mean, "ci_low": 0.8 * mean,
                "ci_high": 1.25 * mean, "noise_floor": 0.012, "reachable_share": share}  # fmt: skip
        rows += [line, line | {"control": "static", "mean": 5.0}, line | {"checkpoint": "best"}]
    return pd.DataFrame(rows)


def layer_tests_table() -> pd.DataFrame:
    rows = [
        ("dataset", "googlenet", "s", 1, "matched", 0.01, "ok"),
        ("dataset", "googlenet", "s", 2, "matched", 0.2, "ok"),
        ("dataset", "googlenet", "s", 3, "best", 0.01, "ok"),
        ("init", "googlenet", "r", 0, "matched", 0.04, "ok"),
        ("init", "googlenet", "r", 3, "matched", np.nan, "untestable"),
        ("dataset", "resnet18", "s", 0, "matched", 0.01, "ok"),
    ]
    names = ["family", "stratum", "parameter", "layer_index", "checkpoint", "p_adjusted", "status"]
    return pd.DataFrame(rows, columns=names).assign(scope="layer", contrast="a / b")


def controls_table() -> pd.DataFrame:
    rows = []
    for control, k, parameter in itertools.product(
        ["none", "static", "label-shuffled"], range(3), ["s", "r", "px", "py"]
    ):
        value = {"none": 2.0, "static": 0.9, "label-shuffled": 1.1}[control] + 0.1 * (k - 1)
        line = {"run_id": f"{control}{k}", "network": "resnet18", "dataset": "gestures",
                "init": "scratch", "control": control, "parameter": parameter, "tag": "best",
                "scope": "model", "weighting": "pooled", "rows": "reachable",
                "floor_ratio": value}  # fmt: skip
        others = [{"scope": "layer"}, {"rows": "all"}, {"weighting": "layer"}, {"tag": "last"}]
        rows += [line, *(line | other | {"floor_ratio": 50.0} for other in others)]
    return pd.DataFrame(rows)


def calibration_table() -> pd.DataFrame:
    rows = [
        ("permutation", "run", "type I error", 3, 0.1, 1.0, 0.05, "valid"),
        ("permutation", "run", "type I error", 1, 0.1, 1.0, 0.0, "untestable"),
        ("bootstrap", "run", "coverage", 3, 0.1, 1.0, 0.82, "liberal"),
        ("KS", "row", "type I error", 1, 0.05, 1.0, 0.45, "liberal"),
        ("KS", "row", "type I error", 1, 0.1, 1.0, 0.67, "liberal"),
        ("permutation", "run", "power", 3, 0.1, 1.25, 0.4, ""),
        ("permutation", "run", "power", 3, 0.1, 1.5, 0.9, ""),
    ]
    names = ["test", "unit", "quantity", "runs_per_arm", "tau", "effect", "estimate", "valid"]
    table = pd.DataFrame(rows, columns=names).assign(design="1 block")
    table["ci_low"], table["ci_high"] = table["estimate"] - 0.03, table["estimate"] + 0.03
    table["nominal"] = table["quantity"].map({"type I error": 0.05, "coverage": 0.95})
    return pd.concat([table.assign(network=n) for n in ("googlenet", "resnet18")])


def planted_table() -> pd.DataFrame:
    motions = {"turning": ("rotation", "r"), "still": ("none", "")}
    rows = []
    for (dataset, (motion, planted)), parameter, (comparison, ratio) in itertools.product(
        motions.items(),
        ["s", "r", "px", "py"],
        [("noise floor", 1.9), ("static", 3.1), ("label-shuffled", 2.2), ("no motion", 0.3)],
    ):
        moved = parameter == planted
        rows.append(
            {"network": "resnet18", "dataset": dataset, "motion": motion, "init": "scratch",
             "parameter": parameter, "expected": moved, "comparison": comparison,
             "estimate": ratio if moved else 0.97, "beyond": "yes" if moved else "no",
             "beyond_controls": "yes" if moved else "no", "in_direction": "yes" if moved else "",
             "recovered": "yes" if moved else "no"}
        )  # fmt: skip
    return pd.DataFrame(rows)


def planted_tuning() -> pd.DataFrame:
    """The same of tuning: other ratios, no floor and no direction."""
    table = planted_table()
    table = table[table["comparison"] != "noise floor"]
    names = {"s": "zoom_index", "r": "turn_index", "px": "direction_x", "py": "direction_y"}
    return table.assign(
        parameter=table["parameter"].map(names), estimate=table["estimate"] + 1, in_direction=""
    )


def alignment_rows() -> pd.DataFrame:
    rows = [
        ("right - left", "px", "none", "model", 0.4),
        ("right - left", "px", "static", "model", 0.02),
        ("up - down", "py", "none", "model", 0.3),
        ("up - down", "py", "none", "layer", -0.9),
        ("up - down", "py", "none", "first", 0.7),
    ]
    table = pd.DataFrame(rows, columns=["axis", "parameter", "control", "scope", "correlation"])
    table["ci_low"], table["ci_high"] = table["correlation"] - 0.1, table["correlation"] + 0.1
    return table.assign(network="resnet18", dataset="moving", motion="translation", init="scratch")


def runs_and_metrics() -> tuple[pd.DataFrame, pd.DataFrame]:
    runs, metrics = [], []
    variants = [("pretrained", "3t"), ("scratch", "3t"), ("pretrained", "3d")]
    for (network, dataset), (init, conv), r in itertools.product(CELLS, variants, [1, 2]):
        name = f"{network}-{dataset}-{init}-{conv}-r{r}"
        classes = 27 if dataset == "gestures" else 10
        runs.append((name, network, dataset, init, conv, classes))
        for epoch in range(1, 6):
            value = epoch / 10 + r / 50
            metrics.append((name, epoch, "val", "accuracy", value))
            metrics.append((name, epoch, "val", "loss", 99.0))
            metrics.append((name, epoch, "train", "accuracy", 1.0))
    names = ["run_id", "network", "dataset", "init", "convolution", "num_classes"]
    return (
        pd.DataFrame(runs, columns=names),
        pd.DataFrame(metrics, columns=["run_id", "epoch", "split", "metric", "value"]),
    )


def histogram_table() -> pd.DataFrame:
    edges = np.linspace(-0.1, 0.1, 51)
    frames = [
        pd.DataFrame({"left": edges[:-1], "right": edges[1:], "count": np.arange(50) % 7}).assign(
            network=network, dataset=dataset, init=init, parameter=parameter
        )
        for (network, dataset), init, parameter in itertools.product(
            CELLS, INITS, ["s", "r", "px", "py"]
        )
    ]
    return pd.concat(frames, ignore_index=True)


def texts(figure: Figure) -> str:
    """Everything written in a figure."""
    figure.canvas.draw_idle()
    return "\n".join(text.get_text() for text in figure.findobj(plt.Text))


def marks(axes, marker: str) -> dict[float, str]:
    """Place -> colour of the inside of every mark of a kind."""
    return {
        float(line.get_xdata()[0]): line.get_markerfacecolor()
        for line in axes.lines
        if line.get_marker() == marker
    }
