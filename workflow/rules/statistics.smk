# Parameter tables -> summaries, tests, densities and the paper's tables.


rule summaries:
    # Every run at every snapshot, by layer and for the whole network.
    input:
        parameters=PARAMETER_FILES + CONTROL_FILES,
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
    threads: 2
    params:
        code=code_digest("statistics.summaries.summarise"),
    script:
        "../scripts/summaries.py"


rule tests:
    # The families of tests, with the training run as the unit; and displacement by layer.
    input:
        summaries=f"{RESULTS}/summaries.parquet",
        runs=f"{RESULTS}/runs.parquet",
    output:
        tests=f"{RESULTS}/tests.parquet",
        layers=f"{RESULTS}/layer_profile.parquet",
    log:
        f"{RESULTS}/logs/tests.log",
    benchmark:
        f"{RESULTS}/benchmarks/tests.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        alpha=STUDY["statistics"]["alpha"],
        dataset_contrast=STUDY["statistics"].get("dataset_contrast"),
        seed=derive_seed(STUDY["seed"], "tests"),
        code=code_digest("statistics.tests.depth", "statistics.tests.layerwise"),
    script:
        "../scripts/tests.py"


rule accuracy_tests:
    # Differences of accuracy between convolutions, and between starts.
    input:
        runs=f"{RESULTS}/runs.parquet",
        metrics=f"{RESULTS}/metrics.parquet",
    output:
        f"{RESULTS}/accuracy_tests.parquet",
    log:
        f"{RESULTS}/logs/accuracy_tests.log",
    conda:
        "../envs/analysis.yaml"
    params:
        alpha=STUDY["statistics"]["alpha"],
        seed=derive_seed(STUDY["seed"], "accuracy tests"),
        code=code_digest("statistics.tests.accuracy"),
    script:
        "../scripts/accuracy_tests.py"


rule sensitivity:
    # Sensitivity of the tests: other outcomes, equivalence, mixed models, (px, py) together.
    input:
        summaries=f"{RESULTS}/summaries.parquet",
        runs=f"{RESULTS}/runs.parquet",
        parameters=PARAMETER_FILES,
    output:
        f"{RESULTS}/sensitivity.parquet",
    log:
        f"{RESULTS}/logs/sensitivity.log",
    benchmark:
        f"{RESULTS}/benchmarks/sensitivity.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        alpha=STUDY["statistics"]["alpha"],
        dataset_contrast=STUDY["statistics"].get("dataset_contrast"),
        margin=STUDY["statistics"]["equivalence_ratio"],
        # Energy distances need all pairs of rows: runs of more rows than this are sampled.
        max_rows=STUDY["statistics"]["energy_rows"],
        seed=derive_seed(STUDY["seed"], "sensitivity"),
        code=code_digest(
            "statistics.tests.outcomes",
            "statistics.tests.equivalence",
            "statistics.tests.mixed",
            "statistics.tests.energy",
        ),
    script:
        "../scripts/sensitivity.py"


rule descriptions:
    # Descriptions of rows without tests: hierarchical bootstrap, distances of distributions.
    input:
        parameters=PARAMETER_FILES,
        runs=f"{RESULTS}/runs.parquet",
    output:
        bootstrap=f"{RESULTS}/bootstrap.parquet",
        distances=f"{RESULTS}/distances.parquet",
    log:
        f"{RESULTS}/logs/descriptions.log",
    benchmark:
        f"{RESULTS}/benchmarks/descriptions.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        dataset_contrast=STUDY["statistics"].get("dataset_contrast"),
        resamples=STUDY["statistics"]["bootstrap_resamples"],
        seed=derive_seed(STUDY["seed"], "descriptions"),
        code=code_digest(
            "statistics.summaries.bootstrap", "statistics.densities.distances"
        ),
    script:
        "../scripts/descriptions.py"


rule power:
    # Which ratios a study of this design and this spread between its runs could have found.
    input:
        summaries=f"{RESULTS}/summaries.parquet",
        runs=f"{RESULTS}/runs.parquet",
    output:
        f"{RESULTS}/power.parquet",
    log:
        f"{RESULTS}/logs/power.log",
    conda:
        "../envs/analysis.yaml"
    params:
        alpha=STUDY["statistics"]["alpha"],
        seed=derive_seed(STUDY["seed"], "power"),
        code=code_digest("statistics.calibration.own_study"),
    script:
        "../scripts/power.py"


rule calibration:
    # Type I error, coverage and power of the tests in simulated studies of the same networks.
    input:
        [
            # One run per network: only its layers, channels and reachable transitions
            # are read.
            next(file for file in PARAMETER_FILES if f"network={name}/" in file)
            for name in STUDY["networks"]
            if any(f"network={name}/" in file for file in PARAMETER_FILES)
        ],
    output:
        f"{RESULTS}/calibration.parquet",
    log:
        f"{RESULTS}/logs/calibration.log",
    benchmark:
        f"{RESULTS}/benchmarks/calibration.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 8
    params:
        replicates=STUDY["statistics"]["calibration_replicates"],
        # Numbers of runs of cells that the tests compare, where they are unequal.
        cells=LAYOUT.unequal_cells,
        seed=derive_seed(STUDY["seed"], "calibration"),
        code=code_digest("statistics.calibration.calibrate"),
    script:
        "../scripts/calibration.py"


rule truth:
    # Whether parameters agree with what channels answer to, and are found again in other runs.
    input:
        parameters=PARAMETER_FILES + CONTROL_FILES,
        tuning=TUNED_3T,
        runs=f"{RESULTS}/runs.parquet",
    output:
        agreement=f"{RESULTS}/agreement.parquet",
        agreement_runs=f"{RESULTS}/agreement_runs.parquet",
        reproducibility=f"{RESULTS}/reproducibility.parquet",
    log:
        f"{RESULTS}/logs/truth.log",
    benchmark:
        f"{RESULTS}/benchmarks/truth.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        alpha=STUDY["statistics"]["alpha"],
        seed=derive_seed(STUDY["seed"], "truth"),
        code=code_digest(
            "statistics.truth.agreement",
            "statistics.truth.reproducibility",
            "schemas.tuning",
        ),
    script:
        "../scripts/truth.py"


if PARAMETER_FILES:

    rule endpoints:
        # The primary endpoints of the analysis plan, each against zero and against its controls.
        input:
            **{
                name: file
                for name, file in NEED_TABLES.items()
                if name in ("need_runs", "need_tests")
            },
            agreement=f"{RESULTS}/agreement.parquet",
            reproducibility=f"{RESULTS}/reproducibility.parquet",
            order_leak=f"{RESULTS}/order_leak.parquet",
        output:
            f"{RESULTS}/endpoints.parquet",
        log:
            f"{RESULTS}/logs/endpoints.log",
        conda:
            "../envs/analysis.yaml"
        params:
            alpha=STUDY["statistics"]["alpha"],
            seed=derive_seed(STUDY["seed"], "endpoints"),
            code=code_digest("statistics.truth.endpoints"),
        script:
            "../scripts/endpoints.py"


if RULER_FILES:

    rule ruler_tables:
        # How much of 3D filters the nearest 3T filters explain, by run and over runs.
        input:
            ruler=RULER_FILES,
            tuning=[f"{RESULTS}/tuning/{run_id}.parquet" for run_id in RULED],
            runs=f"{RESULTS}/runs.parquet",
        output:
            by_run=f"{RESULTS}/ruler_runs.parquet",
            cells=f"{RESULTS}/ruler_cells.parquet",
        log:
            f"{RESULTS}/logs/ruler_tables.log",
        conda:
            "../envs/analysis.yaml"
        params:
            alpha=STUDY["statistics"]["alpha"],
            seed=derive_seed(STUDY["seed"], "ruler tests"),
            code=code_digest("statistics.truth.ruler"),
        script:
            "../scripts/ruler_tables.py"


if PLANTED:

    rule planted:
        # Planted motions, a known truth: which of them the parameters and the tuning of channels
        # recover, and where they are lost.
        input:
            summaries=f"{RESULTS}/summaries.parquet",
            runs=f"{RESULTS}/runs.parquet",
            parameters=PARAMETER_FILES + CONTROL_FILES,
            preferences=[
                f"{RESULTS}/preferences/{run_id}.parquet"
                for run_id in PREFERRING
                if RUNS[run_id].dataset in PLANTED
            ],
            tuning=PLANTED_TUNED,
            need=NEED_TABLES["need_runs"] if PLANTED_NEEDING else [],
        output:
            **PLANTED_TABLES,
        log:
            f"{RESULTS}/logs/planted.log",
        conda:
            "../envs/analysis.yaml"
        params:
            motions=PLANTED,
            alpha=STUDY["statistics"]["alpha"],
            seed=derive_seed(STUDY["seed"], "planted"),
            code=code_digest(
                "statistics.planted.recovery",
                "statistics.planted.tuned",
                "statistics.planted.where",
            ),
        script:
            "../scripts/planted.py"


if PREFERENCE_FILES:

    rule prediction:
        # Which of two opposite classes a channel prefers, predicted from its parameters.
        input:
            runs=f"{RESULTS}/runs.parquet",
            parameters=PARAMETER_FILES + CONTROL_FILES,
            preferences=PREFERENCE_FILES,
        output:
            table=f"{RESULTS}/prediction.parquet",
            by_run=f"{RESULTS}/prediction_runs.parquet",
        log:
            f"{RESULTS}/logs/prediction.log",
        conda:
            "../envs/analysis.yaml"
        params:
            opposites=PAIRED,
            alpha=STUDY["statistics"]["alpha"],
            seed=derive_seed(STUDY["seed"], "prediction"),
            code=code_digest("statistics.truth.prediction"),
        script:
            "../scripts/prediction.py"


rule paper_tables:
    # The paper's Tables 1 and 3 (accuracy), 2 and 4 (temporal parameters): our numbers beside the
    # paper's.
    input:
        summaries=f"{RESULTS}/summaries.parquet",
        runs=f"{RESULTS}/runs.parquet",
        metrics=f"{RESULTS}/metrics.parquet",
    output:
        accuracy=f"{RESULTS}/tables/accuracy.parquet",
        controls=f"{RESULTS}/tables/accuracy_of_controls.parquet",
        displacement=f"{RESULTS}/tables/displacement.parquet",
    log:
        f"{RESULTS}/logs/paper_tables.log",
    conda:
        "../envs/analysis.yaml"
    params:
        # Which data set is printed beside which of the paper's.
        stands_for=STANDS_FOR,
        code=code_digest(
            "statistics.summaries.accuracy", "statistics.summaries.displacement"
        ),
    script:
        "../scripts/paper_tables.py"


rule densities:
    # The data of the paper's Figures 4 and 5: densities, joint densities, histograms with shared
    # bins.
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
        code=code_digest(
            "statistics.densities.kde",
            "statistics.densities.joint",
            "statistics.densities.histograms",
        ),
    script:
        "../scripts/densities.py"
