# Weights -> what accuracy needs: the order of frames, motion, transforms; over runs.

NEED_TABLES = {
    name: f"{RESULTS}/{name}.parquet"
    for name in ("need_runs", "need_cells", "need_classes", "need_tests")
    if NEED_FILES
}
NEED_JOBS = LAYOUT.jobs(NEEDING)


def dataset_of(wildcards):
    """The data set of the runs of a job."""
    return RUNS[NEED_JOBS[wildcards.job][0]].dataset


rule need:
    # One run of any convolution, or all of a cell. One thread, and jobs as for tuning.
    input:
        unpack(lambda w: LAYOUT.clip_inputs(dataset_of(w))),
        record=of_job(f"{RESULTS}/runs/{{job}}/run.json", NEED_JOBS),
        weights=of_job(f"{RESULTS}/runs/{{job}}/best.safetensors", NEED_JOBS),
    output:
        of_job(f"{RESULTS}/need/{{job}}.parquet", NEED_JOBS),
    log:
        f"{RESULTS}/logs/need/{{job}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/need/{{job}}.tsv"
    wildcard_constraints:
        job=any_of(NEED_JOBS),
    conda:
        TRAINING_ENV
    threads: 1
    resources:
        mem_mb=4000,
    params:
        opposites=lambda w: LAYOUT.opposites(dataset_of(w)),
        layers=STUDY.get("need", {}).get("layers", False),
        clips=STUDY.get("need", {}).get("clips"),
        # Of the study, not of the run: all runs are shown the same clips.
        seed=derive_seed(STUDY["seed"], "need"),
        code=code_digest("training.need"),
    script:
        "../scripts/need.py"


if NEED_FILES:

    rule need_tables:
        # The training run as the unit: by cell, and against negative controls.
        input:
            need=NEED_FILES,
            runs=f"{RESULTS}/runs.parquet",
        output:
            **NEED_TABLES,
        log:
            f"{RESULTS}/logs/need_tables.log",
        conda:
            "../envs/analysis.yaml"
        params:
            alpha=STUDY["statistics"]["alpha"],
            seed=derive_seed(STUDY["seed"], "need tests"),
            code=code_digest("statistics.truth.need"),
        script:
            "../scripts/need_tables.py"
