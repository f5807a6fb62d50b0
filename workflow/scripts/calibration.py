"""Simulate studies in the layout of this study's networks, and see how the tests behave."""

from threetconv.records.parameters import read_parameters
from threetconv.schemas.statistics import CALIBRATION
from threetconv.statistics.calibration.calibrate import calibrate
from threetconv.statistics.calibration.simulate import NetworkLayout
from threetconv.support.files import write_parquet
from threetconv.support.logs import progress_to, step_log

# The layout of a network only: no parameter values are read.
COLUMNS = ["layer_index", "layer", "channel", "transition", "reachable"]

if __name__ == "__main__":  # worker processes import this file again
    with step_log(snakemake.log[0]) as log:
        tables = [
            read_parameters([file], tags=["best"], columns=COLUMNS) for file in snakemake.input
        ]
        table = calibrate(
            [NetworkLayout.from_table(t, str(t["network"].iloc[0])) for t in tables],
            replicates=snakemake.params.replicates,
            seed=snakemake.params.seed,
            workers=snakemake.threads,
            cells=snakemake.params.cells,
            progress=progress_to(log, "simulated studies"),
        )
        write_parquet(table, snakemake.output[0], CALIBRATION)
