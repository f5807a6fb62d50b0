# Parameter tables -> summaries, tests, densities and the paper's tables.


rule summaries:
    # Every run at every snapshot, by layer and for the whole network.
    input:
        parameters=PARAMETER_FILES,
        runs=f"{RESULTS}/runs.parquet",
        snapshots=f"{RESULTS}/snapshots.parquet",
    output:
        f"{RESULTS}/summaries.parquet",
    log:
        f"{RESULTS}/logs/summaries.log",
    benchmark:
        f"{RESULTS}/benchmarks/summaries.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_digest("statistics.summaries"),
    script:
        "../scripts/summaries.py"


rule tests:
    # The families of tests, with the training run as the unit.
    input:
        summaries=f"{RESULTS}/summaries.parquet",
        runs=f"{RESULTS}/runs.parquet",
    output:
        f"{RESULTS}/tests.parquet",
    log:
        f"{RESULTS}/logs/tests.log",
    conda:
        "../envs/analysis.yaml"
    params:
        alpha=STUDY["statistics"]["alpha"],
        dataset_contrast=STUDY["statistics"].get("dataset_contrast"),
        seed=derive_seed(STUDY["seed"], "tests"),
        code=code_digest("statistics.contrasts"),
    script:
        "../scripts/tests.py"


rule paper_tables:
    # The paper's Tables 1 and 3 (accuracy), 2 and 4 (temporal parameters), each beside its own figures.
    input:
        summaries=f"{RESULTS}/summaries.parquet",
        runs=f"{RESULTS}/runs.parquet",
        metrics=f"{RESULTS}/metrics.parquet",
    output:
        accuracy=f"{RESULTS}/tables/accuracy.parquet",
        displacement=f"{RESULTS}/tables/displacement.parquet",
    log:
        f"{RESULTS}/logs/paper_tables.log",
    conda:
        "../envs/analysis.yaml"
    params:
        stands_for=STANDS_FOR,
        code=code_digest("statistics.accuracy", "statistics.displacement"),
    script:
        "../scripts/paper_tables.py"


rule densities:
    # What the paper's Figures 4 and 5 show: densities, joint densities, histograms with shared bins.
    input:
        PARAMETER_FILES,
    output:
        densities=f"{RESULTS}/tables/densities.parquet",
        joint=f"{RESULTS}/tables/joint_densities.parquet",
        histograms=f"{RESULTS}/tables/histograms.parquet",
    log:
        f"{RESULTS}/logs/densities.log",
    benchmark:
        f"{RESULTS}/benchmarks/densities.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_digest("statistics.kde", "statistics.joint", "statistics.histograms"),
    script:
        "../scripts/densities.py"
