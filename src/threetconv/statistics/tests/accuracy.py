"""Accuracy tested: between convolutions, and between starts; the training run is the unit.

Each dataset has families of its own: what differs between kinds of convolution from equal starts,
and between starts at equal convolutions. A contrast is tested over all networks that have both arms
(runs are relabelled within networks) and in every network alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from threetconv.schemas.runs import CONVOLUTIONS
from threetconv.schemas.statistics import ACCURACY_TESTS
from threetconv.statistics.summaries.accuracy import percent_correct
from threetconv.statistics.tests.adjust import adjust, holm
from threetconv.statistics.tests.comparisons import BLANK, OVERALL
from threetconv.statistics.tests.families import (
    REAL,
    Block,
    Family,
    form_blocks,
    form_contrasts,
)
from threetconv.statistics.tests.intervals import difference_interval
from threetconv.statistics.tests.permutation import permute_runs, studentises

__all__ = ["accuracy_tests"]

FAMILIES = (
    Family("convolution", "kind", ("network",), order=tuple(CONVOLUTIONS)),
    Family("init", "init", ("network",), order=("pretrained", "scratch")),
)
EQUAL = {"convolution": "init", "init": "kind"}  # family -> what both arms have in common


def accuracy_tests(
    metrics: pd.DataFrame, runs: pd.DataFrame, *, seed: int, alpha: float = 0.05
) -> pd.DataFrame:
    """Differences of accuracy between variants, on the clips that chose the least.

    Args:
        metrics: run_id, epoch, split, metric, value (share of 1), n.
        runs: run_id, network, dataset, init, convolution, control, replicate, best_epoch, and
            recipe where there are several; a convolution trained by a recipe other than the paper's
            counts as a kind of its own. Negative controls are left out.
        seed: of draws, where not all relabellings are enumerated.
        alpha: level of a family; decides what is untestable.

    Returns:
        Columns of `ACCURACY_TESTS`: a line per family, dataset, common level, contrast and network
        ("all": mean over networks). Accuracies are of the test split where all runs of the dataset
        have one, else of the validation split, which chose the epoch in both arms. Welch's
        t intervals; permutation of run labels, studentised where arms differ in size; Holm over the
        lines of a family, dataset and network.
    """
    table = percent_correct(metrics, runs[runs["control"] == REAL])
    kind = table["convolution"].astype(str)
    if "recipe" in table:
        kind = (kind + " " + table["recipe"].replace("paper", "").astype(str)).str.strip()
    table = table.assign(kind=kind)
    lines: list[dict[str, object]] = []
    for family in FAMILIES:
        groups: defaultdict[tuple[str, str], list[dict[str, object]]] = defaultdict(list)
        for dataset, of_dataset in table.groupby("dataset", sort=True, observed=True):
            split = "val" if of_dataset["test_percent"].isna().any() else "test"
            value = "percent" if split == "val" else "test_percent"
            for level, cell in of_dataset.groupby(EQUAL[family.name], sort=True, observed=True):
                values = cell[value].to_numpy(np.float64)
                for contrast in form_contrasts(cell, family):
                    blocks = [b for b in form_blocks(cell, family, contrast) if b.complete]
                    strata = [(block.name, [block]) for block in blocks]
                    if len(blocks) > 1:
                        strata.insert(0, (OVERALL, blocks))
                    for network, some in strata:
                        keys = {
                            "family": family.name, "network": network, "dataset": str(dataset),
                            "at": str(level), "contrast": contrast.text, "split": split,
                        }  # fmt: skip
                        line = BLANK | keys | _numbers(some, values, seed)
                        groups[str(dataset), network].append(line)
        for tests in groups.values():
            adjust(tests, alpha, holm, "Holm", "contrasts of the family")
            lines += tests
    return pd.DataFrame(lines, columns=ACCURACY_TESTS.names)


def _numbers(blocks: Sequence[Block], values: np.ndarray, seed: int) -> dict[str, object]:
    """Means, difference, interval and p of runs in blocks."""
    pairs = [(values[a], values[b]) for block in blocks for a, b in block.arms]
    mean_a, mean_b = (float(np.mean([pair[arm].mean() for pair in pairs])) for arm in (0, 1))
    interval, result = difference_interval(pairs), permute_runs(pairs, seed=seed)
    studentised = ", studentised" if studentises([(a.size, b.size) for a, b in pairs]) else ""
    return {
        "n_a": sum(block.count(0) for block in blocks),
        "n_b": sum(block.count(1) for block in blocks),
        "mean_a": mean_a, "mean_b": mean_b, "estimate": mean_a - mean_b,
        "ci_low": interval.low, "ci_high": interval.high, "ci_method": interval.method,
        "method": f"permutation of run labels within networks{studentised}",
        "p_raw": result.p, "p_floor": result.floor, "exact": result.exact,
        "n_permutations": result.n_permutations, "rng_seed": seed,
    }  # fmt: skip
