# Networks -> what single channels have learned -> the explorer.


rule explain:
    # One run: channels in words, what each is worth, pictures of the chosen ones, sanity checks.
    input:
        unpack(explained_inputs),
    output:
        channels=f"{RESULTS}/explanations/{{run_id}}/channels.parquet",
        faithfulness=f"{RESULTS}/explanations/{{run_id}}/faithfulness.parquet",
        chosen=f"{RESULTS}/explanations/{{run_id}}/chosen.parquet",
        images=f"{RESULTS}/explanations/{{run_id}}/images.parquet",
        sanity=f"{RESULTS}/explanations/{{run_id}}/sanity.parquet",
        pictures=directory(f"{RESULTS}/explanations/{{run_id}}/pictures"),
    log:
        f"{RESULTS}/logs/explain/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/explain/{{run_id}}.tsv"
    wildcard_constraints:
        run_id=any_of(EXPLAINED),
    conda:
        TRAINING_ENV
    threads: 1
    resources:
        mem_mb=4000,
        gpu=1 if STUDY["training"]["device"] == "cuda" else 0,
    params:
        options=STUDY["explanations"],
        seed=lambda w: derive_seed(STUDY["seed"], f"explain/{w.run_id}"),
        device=STUDY["training"]["device"],
        code=code_digest("explain.run"),
    script:
        "../scripts/explain.py"


rule explanations:
    # The tables of all explained runs as one each.
    input:
        EXPLANATIONS,
        [f for f in map(explained_parameters, EXPLAINED) if f],
        [f"{RESULTS}/runs/{run_id}/run.json" for run_id in EXPLAINED],
    output:
        **EXPLAINED_TABLES,
    log:
        f"{RESULTS}/logs/explanations.log",
    conda:
        TRAINING_ENV
    params:
        folders=[f"{RESULTS}/explanations/{run_id}" for run_id in EXPLAINED],
        runs={run_id: f"{RESULTS}/runs/{run_id}" for run_id in EXPLAINED},
        parameters={
            run_id: explained_parameters(run_id)
            for run_id in EXPLAINED
            if explained_parameters(run_id)
        },
        code=code_digest("explain.tables", "schemas.channels"),
    script:
        "../scripts/explanations.py"


rule explained_figures:
    input:
        **EXPLAINED_TABLES,
        runs=f"{RESULTS}/runs.parquet",
    output:
        rows=report(
            [f"{RESULTS}/figures/explained_{n}_{d}.svg" for n, d in EXPLAINED_PAIRS],
            caption="../report/explanations.rst",
            category="Channels",
            labels={"figure": "chosen channels"},
        ),
        drops=report(
            [f"{RESULTS}/figures/class_drops_{n}_{d}.svg" for n, d in EXPLAINED_PAIRS],
            caption="../report/explanations.rst",
            category="Channels",
            labels={"figure": "classes without motion"},
        ),
        gallery=report(
            f"{RESULTS}/figures/explained_gallery.svg",
            caption="../report/explanations.rst",
            category="Channels",
            labels={"figure": "what the transforms do"},
        ),
    log:
        f"{RESULTS}/logs/explained_figures.log",
    conda:
        TRAINING_ENV
    params:
        pairs=EXPLAINED_PAIRS,
        explained=EXPLAINED,
        folder=lambda w, input: str(Path(input.images).parent),
        code=code_digest(
            "figures.explained",
            "figures.explanations",
            "figures.gallery",
            "explain.motion.affine_gallery",
        ),
    script:
        "../scripts/explained_figures.py"


rule explorer:
    # One offline page on which people look at channels.
    input:
        records=[f"{RESULTS}/runs/{run_id}/run.json" for run_id in EXPLAINED],
        weights=[f"{RESULTS}/runs/{run_id}/best.safetensors" for run_id in EXPLAINED],
        metrics=[f"{RESULTS}/runs/{run_id}/metrics.parquet" for run_id in EXPLAINED],
        parameters=[f for f in map(explained_parameters, EXPLAINED) if f],
        tables=EXPLANATIONS,
    output:
        report(
            f"{REPORTS}/explorer.html",
            caption="../report/explorer.rst",
            category="Report",
            labels={"format": "explorer of channels"},
        ),
    log:
        f"{RESULTS}/logs/explorer.log",
    benchmark:
        f"{RESULTS}/benchmarks/explorer.tsv"
    conda:
        TRAINING_ENV
    params:
        title=lambda w: STUDY["title"],  # a plain string's braces would be read as wildcards
        folders=[f"{RESULTS}/explanations/{run_id}" for run_id in EXPLAINED],
        parameters=[explained_parameters(run_id) for run_id in EXPLAINED],
        code=code_digest("explorer.page", "explorer.collect"),
    script:
        "../scripts/explorer.py"
