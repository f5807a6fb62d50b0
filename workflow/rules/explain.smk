# Networks -> what single channels have learned -> the explorer.


rule explain:
    # One run: channels in words, their faithfulness, pictures of chosen ones, sanity checks.
    input:
        unpack(lambda w: LAYOUT.explained_inputs(w.run_id)),
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
        [f for f in map(LAYOUT.explained_parameters, EXPLAINED) if f],
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
            run_id: LAYOUT.explained_parameters(run_id)
            for run_id in EXPLAINED
            if LAYOUT.explained_parameters(run_id)
        },
        code=code_digest("explain.tables", "schemas.channels"),
    script:
        "../scripts/explanations.py"


rule explained_figures:
    input:
        # The figures do not show sanity checks; the report does.
        **{name: file for name, file in EXPLAINED_TABLES.items() if name != "sanity"},
        runs=f"{RESULTS}/runs.parquet",
    output:
        report(
            [f"{RESULTS}/figures/explained_{n}_{d}.svg" for n, d in EXPLAINED_PAIRS],
            caption="../report/explanations.rst",
            category="Channels",
            labels={"figure": "chosen channels"},
        ),
        report(
            [f"{RESULTS}/figures/class_drops_{n}_{d}.svg" for n, d in EXPLAINED_PAIRS],
            caption="../report/explanations.rst",
            category="Channels",
            labels={"figure": "classes without motion"},
        ),
    log:
        f"{RESULTS}/logs/explained_figures.log",
    conda:
        "../envs/analysis.yaml"
    params:
        figure="explained",
        options=lambda w, input: {
            "pairs": EXPLAINED_PAIRS,
            "explained": EXPLAINED,
            # Pictures are named relative to the folder of their table.
            "folder": str(Path(input.images).parent),
        },
        code=code_digest("figures.explained"),
    script:
        "../scripts/figures.py"


rule transform_gallery:
    # What each temporal parameter does to an image.
    output:
        report(
            f"{RESULTS}/figures/explained_gallery.svg",
            caption="../report/explanations.rst",
            category="Channels",
            labels={"figure": "what the transforms do"},
        ),
    log:
        f"{RESULTS}/logs/transform_gallery.log",
    conda:
        TRAINING_ENV
    params:
        code=code_digest("figures.gallery", "explain.motion.affine_gallery"),
    script:
        "../scripts/transform_gallery.py"


rule explorer:
    # One offline page that shows what every channel learned.
    input:
        records=[f"{RESULTS}/runs/{run_id}/run.json" for run_id in EXPLAINED],
        # The page shows first-layer filters, which are read from the network.
        weights=[f"{RESULTS}/runs/{run_id}/best.safetensors" for run_id in EXPLAINED],
        metrics=[f"{RESULTS}/runs/{run_id}/metrics.parquet" for run_id in EXPLAINED],
        parameters=[f for f in map(LAYOUT.explained_parameters, EXPLAINED) if f],
        tuning=[f for f in map(LAYOUT.explained_tuning, EXPLAINED) if f],
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
        parameters=[LAYOUT.explained_parameters(run_id) for run_id in EXPLAINED],
        tuning=[LAYOUT.explained_tuning(run_id) for run_id in EXPLAINED],
        code=code_digest("explorer.page", "explorer.collect"),
    script:
        "../scripts/explorer.py"
