# Snapshots -> the parameter table, one file per run in hive partitions; the tables of runs.


rule parameters:
    # Every layer's (s, r, tx, ty) at every snapshot. One job per run: with a single job for all,
    # adding a run would rewrite every table, and old runs would be explained again.
    input:
        record=f"{RESULTS}/runs/{{run_id}}/run.json",
        snapshots=f"{RESULTS}/runs/{{run_id}}/snapshots.safetensors",
    output:
        f"{RESULTS}/{{kind}}/{{cell}}/{{run_id}}.parquet",
    log:
        f"{RESULTS}/logs/{{kind}}/{{cell}}/{{run_id}}.log",
    wildcard_constraints:
        # Controls in a folder of their own, so that whoever reads all parameters does
        # not pool them.
        kind="parameters|control_parameters",
        # Hive partitions: DuckDB and pandas read the keys from the folders' names.
        cell="network=[^/]+/dataset=[^/]+/init=[^/]+/recipe=[^/]+",
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_digest("records.run_folder"),
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
        code=code_digest("records.run_folder"),
    script:
        "../scripts/runs.py"


PREFERENCE_JOBS = LAYOUT.jobs(PREFERRING)


rule preferences:
    # The class that every channel of a finished run prefers, to compare with its transforms, on
    # clips of classes that have an opposite. Jobs as for tuning.
    input:
        unpack(lambda w: LAYOUT.clip_inputs(RUNS[PREFERENCE_JOBS[w.job][0]].dataset)),
        record=of_job(f"{RESULTS}/runs/{{job}}/run.json", PREFERENCE_JOBS),
        weights=of_job(f"{RESULTS}/runs/{{job}}/best.safetensors", PREFERENCE_JOBS),
    output:
        of_job(f"{RESULTS}/preferences/{{job}}.parquet", PREFERENCE_JOBS),
    log:
        f"{RESULTS}/logs/preferences/{{job}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/preferences/{{job}}.tsv"
    wildcard_constraints:
        job=any_of(PREFERENCE_JOBS),
    conda:
        TRAINING_ENV
    threads: 1
    resources:
        mem_mb=4000,
    params:
        labels=lambda w: [
            label
            for pair in PAIRED[RUNS[PREFERENCE_JOBS[w.job][0]].dataset]
            for label in pair
        ],
        most=64,  # clips of a class; their mean is known well enough
        code=code_digest("explain.class_preferences"),
    script:
        "../scripts/preferences.py"
