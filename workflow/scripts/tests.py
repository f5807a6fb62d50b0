"""Test the study's contrasts, and every layer's; describe displacement by depth."""

import pandas as pd

from threetconv.schemas.statistics import LAYER_PROFILE, TESTS
from threetconv.statistics.tests.contrasts import run_tests
from threetconv.statistics.tests.depth import joint_tests
from threetconv.statistics.tests.families import FAMILIES
from threetconv.statistics.tests.layerwise import layer_profile, layer_tests
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]) as log:
    params = snakemake.params
    summaries, runs = (read_parquet(snakemake.input[name]) for name in ("summaries", "runs"))
    options = {"datasets": params.dataset_contrast, "alpha": params.alpha, "seed": params.seed}
    tests = run_tests(
        summaries, runs, families=tuple(FAMILIES), checkpoint=("best", "matched"), **options
    )
    together = joint_tests(summaries, runs, families=tuple(FAMILIES), **options)
    layers = layer_tests(summaries, runs, **options)
    log.info("%d tests of networks, %d of layers", len(tests) + len(together), len(layers))
    table = pd.concat([tests, together, layers], ignore_index=True)
    write_parquet(table, snakemake.output.tests, TESTS)
    write_parquet(layer_profile(summaries, runs), snakemake.output.layers, LAYER_PROFILE)
