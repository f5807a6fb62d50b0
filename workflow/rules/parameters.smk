# Checkpoints -> the parameter table, one file per run in hive partitions, and the tables of runs.


rule parameters:
    # Every layer's (s, r, tx, ty) of one run at every snapshot.
    input:
        record=f"{RESULTS}/runs/{{run_id}}/run.json",
        snapshots=f"{RESULTS}/runs/{{run_id}}/snapshots.safetensors",
    output:
        f"{RESULTS}/parameters/network={{network}}/dataset={{dataset}}/init={{init}}/{{run_id}}.parquet",
    log:
        f"{RESULTS}/logs/parameters/{{network}}-{{dataset}}-{{init}}/{{run_id}}.log",
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
