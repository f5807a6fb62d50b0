"""Every number that the paper prints, as tidy tables.

Source: Ras et al., arXiv 2006.15983, Tables 1 to 4; kept in `paper_numbers.yaml` beside this file.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

__all__ = [
    "TABLES",
    "load_reference",
    "paper_accuracy",
    "paper_displacement",
    "paper_parameter_counts",
]

VARIANTS = {  # the paper's row -> (convolution, init)
    "pretrained_3t": ("3t", "pretrained"),
    "scratch_3t": ("3t", "scratch"),
    "3d": ("3d", "pretrained"),
}


TABLES = {"pretrained": 2, "scratch": 4}


@cache
def load_reference() -> dict[str, Any]:
    """The whole of `paper_numbers.yaml`; the result is cached, so do not change it."""
    import yaml  # the tables below are rarely needed

    text = files("threetconv.records").joinpath("paper_numbers.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def paper_accuracy() -> pd.DataFrame:
    """Validation accuracy, Tables 1 and 3.

    Returns:
        dataset {jester, ucf101}, network, convolution, init, accuracy (per cent).
    """
    lines = []
    for dataset, entries in load_reference()["accuracy_percent"].items():
        for key, value in entries.items():
            variant, network = key.rsplit("_", 1)  # "scratch_3t_resnet18"
            convolution, init = VARIANTS[variant]
            lines.append((dataset, network, convolution, init, float(value)))
    return pd.DataFrame(lines, columns=["dataset", "network", "convolution", "init", "accuracy"])


def paper_parameter_counts() -> pd.DataFrame:
    """Trainable parameters, Table 1 (full width, 27 and 101 classes).

    Returns:
        dataset {jester, ucf101}, network, convolution, n_parameters.
    """
    lines = []
    for dataset, entries in load_reference()["parameter_counts"].items():
        for key, value in entries.items():
            convolution, network = key.split("_", 1)  # "3t_resnet18"
            lines.append((dataset, network, convolution, int(value)))
    return pd.DataFrame(lines, columns=["dataset", "network", "convolution", "n_parameters"])


def paper_displacement() -> pd.DataFrame:
    """Mean and SD of the temporal parameters, Tables 2 (pretrained) and 4 (scratch).

    Returns:
        table {2, 4}, init, network, dataset {jester, ucf101}, parameter {s, r, px, py}, mean, sd
        (both x 1e-3, as printed).
    """
    lines = [
        (TABLES[init], init, network, dataset, parameter, float(pair[0]), float(pair[1]))
        for init, networks in load_reference()["temporal_parameter_summary"].items()
        for network, datasets in networks.items()
        for dataset, parameters in datasets.items()
        for parameter, pair in parameters.items()
    ]
    columns = ["table", "init", "network", "dataset", "parameter", "mean", "sd"]
    return pd.DataFrame(lines, columns=columns)
