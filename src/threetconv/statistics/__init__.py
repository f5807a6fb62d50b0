"""From parameter tables to summaries, tests, densities and the paper's tables.

The unit of replication is the training run. Pooling the rows of one run and testing them as if
they were independent rejects a true null hypothesis in most cases; nothing here does that.
Every function takes DataFrames and returns one.
"""

from __future__ import annotations

from threetconv.statistics.accuracy import accuracy_table
from threetconv.statistics.adjust import benjamini_hochberg, holm
from threetconv.statistics.contrasts import FAMILIES, run_tests
from threetconv.statistics.displacement import displacement_table
from threetconv.statistics.effects import cliffs_delta, hedges_g, wasserstein
from threetconv.statistics.histograms import histograms, joint_histogram
from threetconv.statistics.intervals import difference_interval, paired_interval
from threetconv.statistics.joint import joint_density
from threetconv.statistics.kde import AsinhKDE, densities
from threetconv.statistics.permutation import attainable_floor, permute_runs
from threetconv.statistics.sentences import sentence, sentences
from threetconv.statistics.summaries import summarise

__all__ = [
    "FAMILIES",
    "AsinhKDE",
    "accuracy_table",
    "attainable_floor",
    "benjamini_hochberg",
    "cliffs_delta",
    "densities",
    "difference_interval",
    "displacement_table",
    "hedges_g",
    "histograms",
    "holm",
    "joint_density",
    "joint_histogram",
    "paired_interval",
    "permute_runs",
    "run_tests",
    "sentence",
    "sentences",
    "summarise",
    "wasserstein",
]
