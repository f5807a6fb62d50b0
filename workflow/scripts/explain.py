"""Explain channels of one run."""

from pathlib import Path

import torch

from threetconv.explain.run import Options, explain_run
from threetconv.support.files import read_parquet
from threetconv.support.logs import step_log

if __name__ == "__main__":  # worker processes import this file again
    with step_log(snakemake.log[0]):
        # The number of threads decides the order of float sums, so it must be the rule's.
        torch.set_num_threads(snakemake.threads)
        files, params, options = snakemake.input, snakemake.params, snakemake.params.options
        # 3D runs have no parameters; only studies with label-shuffled controls have `shuffled`.
        parameters, shuffled = files.get("parameters"), files.get("shuffled")
        explain_run(
            Path(files.record).parent,
            table=read_parquet(files.table),
            packed=files.get("packed"),
            parameters=read_parquet(parameters) if parameters else None,
            options=Options(
                clips=options["clips"],
                channels=options["channels"],
                methods=tuple(options["methods"]),
                steps=options["steps"],
                learning_rate=options["learning_rate"],
                candidates=options.get("candidates"),
            ),
            seed=params.seed,
            out=Path(snakemake.output.channels).parent,
            shuffled=Path(shuffled).parent if shuffled else None,
            device=params.device,
        )
