# Weights -> what each channel answers to, measured with stimuli of known motion.

TUNING_JOBS, RULER_JOBS = LAYOUT.jobs(TUNED), LAYOUT.jobs(RULED)


rule tuning:
    # One run of any convolution, or all of a cell one after another, where a process takes
    # longer to start than to measure. One thread, as for parameters.
    input:
        record=of_job(f"{RESULTS}/runs/{{job}}/run.json", TUNING_JOBS),
        weights=of_job(f"{RESULTS}/runs/{{job}}/best.safetensors", TUNING_JOBS),
    output:
        channels=of_job(f"{RESULTS}/tuning/{{job}}.parquet", TUNING_JOBS),
        responses=of_job(f"{RESULTS}/tuning/responses/{{job}}.parquet", TUNING_JOBS),
    log:
        f"{RESULTS}/logs/tuning/{{job}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/tuning/{{job}}.tsv"
    wildcard_constraints:
        job=any_of(TUNING_JOBS),
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
    # How much of a 3D network's filters the nearest 3T filters explain. Jobs as for tuning.
    input:
        record=of_job(f"{RESULTS}/runs/{{job}}/run.json", RULER_JOBS),
        weights=of_job(f"{RESULTS}/runs/{{job}}/best.safetensors", RULER_JOBS),
    output:
        of_job(f"{RESULTS}/ruler/{{job}}.parquet", RULER_JOBS),
    log:
        f"{RESULTS}/logs/ruler/{{job}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ruler/{{job}}.tsv"
    wildcard_constraints:
        job=any_of(RULER_JOBS),
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
