# Checkpoints -> the parameter table, one file per run in hive partitions, and the tables of runs.


rule parameters:
    # Every layer's (s, r, tx, ty) at every snapshot: a table per run. One job for all runs, because
    # starting Python takes longer than a run's extraction.
    input:
        records=[f"{RESULTS}/runs/{run.run_id}/run.json" for run in RUNS_3T],
        snapshots=[
            f"{RESULTS}/runs/{run.run_id}/snapshots.safetensors" for run in RUNS_3T
        ],
    output:
        [parameter_file(run) for run in RUNS_3T],
    log:
        f"{RESULTS}/logs/parameters.log",
    benchmark:
        f"{RESULTS}/benchmarks/parameters.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_digest("parameters", "layers"),
    script:
        "../scripts/parameters.py"


rule runs:
    # One row per run; loss and accuracy by epoch; when each snapshot was taken.
    input:
        records=RUN_RECORDS,
        metrics=[f"{RESULTS}/runs/{run_id}/metrics.parquet" for run_id in RUNS],
    output:
        runs=report(
            f"{RESULTS}/runs.parquet",
            caption="../report/runs.rst",
            category="Tables",
            labels={"table": "runs", "format": "Parquet"},
        ),
        metrics=f"{RESULTS}/metrics.parquet",
        snapshots=f"{RESULTS}/snapshots.parquet",
    log:
        f"{RESULTS}/logs/runs.log",
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_digest("files"),
    script:
        "../scripts/runs.py"


if PLANTED:

    rule preferences:
        # Which class every channel of a finished run answers to: is it the one its transforms fit?
        input:
            records=[f"{RESULTS}/runs/{run.run_id}/run.json" for run in RUNS_3T],
            weights=[f"{RESULTS}/runs/{run.run_id}/best.safetensors" for run in RUNS_3T],
            clips=[f"{RESULTS}/packed/{name}.npy" for name in PLANTED],
            tables=[f"{RESULTS}/packed/{name}.parquet" for name in PLANTED],
        output:
            PREFERENCE_FILES,
        log:
            f"{RESULTS}/logs/preferences.log",
        benchmark:
            f"{RESULTS}/benchmarks/preferences.tsv"
        conda:
            TRAINING_ENV
        threads: 8
        params:
            datasets=list(PLANTED),
            code=code_digest("selectivity"),
        script:
            "../scripts/preferences.py"
