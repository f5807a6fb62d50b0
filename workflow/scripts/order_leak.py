"""Measure what the study's networks can tell of the direction of time without learned motion."""

import torch

from threetconv.networks.order_leak import leak_table
from threetconv.schemas.runs import ORDER_LEAK
from threetconv.support.files import write_parquet
from threetconv.support.logs import step_log

with step_log(snakemake.log[0]):
    torch.set_num_threads(snakemake.threads)
    table = leak_table(
        snakemake.params.cells,
        width=snakemake.params.width,
        symmetric_time=snakemake.params.symmetric_time,
    )
    write_parquet(table, snakemake.output[0], ORDER_LEAK)
