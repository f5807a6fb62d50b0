# Checkpoints -> what each channel answers to, measured with stimuli of known motion.


rule tuning:
    # One run, of any convolution. One thread, and a job per run, as for its parameters.
    input:
        record=f"{RESULTS}/runs/{{run_id}}/run.json",
        weights=f"{RESULTS}/runs/{{run_id}}/best.safetensors",
    output:
        channels=f"{RESULTS}/tuning/{{run_id}}.parquet",
        responses=f"{RESULTS}/tuning/responses/{{run_id}}.parquet",
    log:
        f"{RESULTS}/logs/tuning/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tuning/{{run_id}}.tsv"
    wildcard_constraints:
        run_id=any_of(TUNED),
    conda:
        TRAINING_ENV
    threads: 1
    resources:
        mem_mb=4000,
    params:
        # Of the study, not of the run: all runs are shown the same textures.
        seed=derive_seed(STUDY["seed"], "tuning"),
        code=code_digest("records.load_model", "tuning.tune"),
    script:
        "../scripts/tuning.py"


rule ruler:
    # How much of a 3D network's filters the nearest 3T filters explain. A job per run, too.
    input:
        record=f"{RESULTS}/runs/{{run_id}}/run.json",
        weights=f"{RESULTS}/runs/{{run_id}}/best.safetensors",
    output:
        f"{RESULTS}/ruler/{{run_id}}.parquet",
    log:
        f"{RESULTS}/logs/ruler/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ruler/{{run_id}}.tsv"
    wildcard_constraints:
        run_id=any_of(RULED),
    conda:
        TRAINING_ENV
    threads: 1
    resources:
        mem_mb=4000,
    params:
        every=STUDY["tuning"]["ruler"] == "all",
        seed=derive_seed(STUDY["seed"], "ruler"),
        code=code_digest("records.load_model", "tuning.ruler"),
    script:
        "../scripts/ruler.py"
