# Checkpoints -> what accuracy needs: the order of frames, motion, transforms; over runs.

NEED_TABLES = {
    name: f"{RESULTS}/{name}.parquet"
    for name in ("need_runs", "need_cells", "need_tests")
    if NEED_FILES
}


rule need:
    # One run, of any convolution. One thread, and a job per run, as for its tuning.
    input:
        unpack(lambda w: LAYOUT.clip_inputs(RUNS[w.run_id].dataset)),
        record=f"{RESULTS}/runs/{{run_id}}/run.json",
        weights=f"{RESULTS}/runs/{{run_id}}/best.safetensors",
    output:
        f"{RESULTS}/need/{{run_id}}.parquet",
    log:
        f"{RESULTS}/logs/need/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/need/{{run_id}}.tsv"
    wildcard_constraints:
        run_id=any_of(NEEDING),
    conda:
        TRAINING_ENV
    threads: 1
    resources:
        mem_mb=4000,
    params:
        opposites=lambda w: LAYOUT.opposites(RUNS[w.run_id].dataset),
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
