"""Lay the study's accuracies and temporal parameters out as the paper does."""

from threetconv.schemas.statistics import ACCURACY, DISPLACEMENT
from threetconv.statistics.summaries.accuracy import accuracy_table
from threetconv.statistics.summaries.displacement import displacement_table
from threetconv.support.files import read_parquet, write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    runs = read_parquet(snakemake.input.runs)
    everything = accuracy_table(
        read_parquet(snakemake.input.metrics), runs, snakemake.params.stands_for, controls=True
    )
    # Controls have a file of their own, so that nobody pools them with real runs.
    real = everything["control"] == "none"
    write_parquet(everything[real], snakemake.output.accuracy, ACCURACY)
    write_parquet(everything[~real], snakemake.output.controls, ACCURACY)
    displacement = displacement_table(
        read_parquet(snakemake.input.summaries), runs, snakemake.params.stands_for
    )
    write_parquet(displacement, snakemake.output.displacement, DISPLACEMENT)
