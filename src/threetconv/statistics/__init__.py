"""From parameter tables to summaries, tests, densities and the paper's tables.

The unit of replication is the training run. Pooling the rows of one run and testing them as if
they were independent rejects a true null hypothesis in most cases; nothing here does that.
Every function takes DataFrames and returns one.
"""

from __future__ import annotations

from threetconv.statistics.accuracy import accuracy_table
from threetconv.statistics.adjust import benjamini_hochberg, holm
from threetconv.statistics.alignment import alignment_table
from threetconv.statistics.bootstrap import hierarchical_bootstrap
from threetconv.statistics.calibration import calibrate
from threetconv.statistics.checkpoints import at_checkpoint
from threetconv.statistics.contrasts import FAMILIES, run_tests
from threetconv.statistics.displacement import displacement_table
from threetconv.statistics.distances import row_distances
from threetconv.statistics.effects import cliffs_delta, hedges_g, wasserstein
from threetconv.statistics.energy import energy_tests
from threetconv.statistics.equivalence import equivalence_tests
from threetconv.statistics.histograms import joint_histogram
from threetconv.statistics.interaction import permute_interaction
from threetconv.statistics.intervals import difference_interval, paired_interval
from threetconv.statistics.joint import joint_density
from threetconv.statistics.kde import AsinhKDE, densities
from threetconv.statistics.layerwise import layer_profile, layer_tests
from threetconv.statistics.mixed import mixed_tests
from threetconv.statistics.outcomes import OUTCOMES, sensitivity_tests
from threetconv.statistics.permutation import attainable_floor, permute_many, permute_runs
from threetconv.statistics.planted import planted_layers, planted_table
from threetconv.statistics.power import power_table
from threetconv.statistics.simulate import Layout, simulate_study
from threetconv.statistics.summaries import summarise, summarise_files

__all__ = [
    "FAMILIES",
    "OUTCOMES",
    "AsinhKDE",
    "Layout",
    "accuracy_table",
    "alignment_table",
    "at_checkpoint",
    "attainable_floor",
    "benjamini_hochberg",
    "calibrate",
    "cliffs_delta",
    "densities",
    "difference_interval",
    "displacement_table",
    "energy_tests",
    "equivalence_tests",
    "hedges_g",
    "hierarchical_bootstrap",
    "holm",
    "joint_density",
    "joint_histogram",
    "layer_profile",
    "layer_tests",
    "mixed_tests",
    "paired_interval",
    "permute_interaction",
    "permute_many",
    "permute_runs",
    "planted_layers",
    "planted_table",
    "power_table",
    "row_distances",
    "run_tests",
    "sensitivity_tests",
    "simulate_study",
    "summarise",
    "summarise_files",
    "wasserstein",
]
