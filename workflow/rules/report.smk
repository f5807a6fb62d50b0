# Tables and figures -> one document, as HTML and as PDF; the notebook that queries the tables.

# Argument of `threetconv.report.content.build_document` -> file.
TABLES = {
    "runs": f"{RESULTS}/runs.parquet",
    "metrics": f"{RESULTS}/metrics.parquet",
    "accuracy_table": f"{RESULTS}/tables/accuracy.parquet",
    "accuracy_tests": f"{RESULTS}/accuracy_tests.parquet",
    "displacement_table": f"{RESULTS}/tables/displacement.parquet",
    "tests_table": f"{RESULTS}/tests.parquet",
    "control_accuracy": f"{RESULTS}/tables/accuracy_of_controls.parquet",
    "layer_profile": f"{RESULTS}/layer_profile.parquet",
    "sensitivity": f"{RESULTS}/sensitivity.parquet",
    "distances": f"{RESULTS}/distances.parquet",
    "bootstrap": f"{RESULTS}/bootstrap.parquet",
    "calibration": f"{RESULTS}/calibration.parquet",
    "power": f"{RESULTS}/power.parquet",
    "order_leak": f"{RESULTS}/order_leak.parquet",
}
if PARAMETER_FILES:
    TABLES |= {
        "agreement": f"{RESULTS}/agreement.parquet",
        "reproducibility": f"{RESULTS}/reproducibility.parquet",
        "endpoints": f"{RESULTS}/endpoints.parquet",
    }
if NEED_FILES:
    TABLES |= {
        name: NEED_TABLES[name] for name in ("need_cells", "need_classes", "need_tests")
    }
if RULER_FILES:
    TABLES |= {"ruler_cells": f"{RESULTS}/ruler_cells.parquet"}
TABLES |= PLANTED_TABLES
if PREFERENCE_FILES:
    TABLES |= {"prediction": f"{RESULTS}/prediction.parquet"}
if EXPLAINED:
    TABLES |= {
        "channels": EXPLAINED_TABLES["channels"],
        "faithfulness": EXPLAINED_TABLES["faithfulness"],
        "chosen_channels": EXPLAINED_TABLES["chosen"],
        "sanity": EXPLAINED_TABLES["sanity"],
    }
# Files that the README names: targets of their own, so that deleted ones are made again.
WHAT_USERS_READ = [
    *TABLES.values(),
    *PARAMETER_FILES,
    *CONTROL_FILES,
    *PREFERENCE_FILES,
    *TUNING_FILES,
    *([f"{RESULTS}/prediction_runs.parquet"] if PREFERENCE_FILES else []),
    *([f"{RESULTS}/agreement_runs.parquet"] if PARAMETER_FILES else []),
    *RULER_FILES,
    *([f"{RESULTS}/ruler_runs.parquet"] if RULER_FILES else []),
    *NEED_FILES,
    *NEED_TABLES.values(),
    f"{RESULTS}/analysis_plan.json",
    f"{RESULTS}/snapshots.parquet",
    f"{RESULTS}/summaries.parquet",
    *(
        f"{RESULTS}/tables/{name}.parquet"
        for name in ("densities", "joint_densities", "histograms")
        if PARAMETER_FILES
    ),
    *(EXPLAINED_TABLES.values() if EXPLAINED else []),
    *FIGURES.values(),
]
UNPAGED = {
    "channels",
    "faithfulness",
    "metrics",
    "layer_profile",
    "planted_layers",
    "agreement",
    "reproducibility",
}  # too long to be read as a page

PAGED = {
    str(Path(file).relative_to(RESULTS).with_suffix("")): file
    for name, file in TABLES.items()
    if name not in UNPAGED
}
TABLE_PAGES = [f"{RESULTS}/pages/{name}.html" for name in PAGED]


rule study_report:
    input:
        **TABLES,
        figures=FIGURES.values(),
        # The configuration with its defaults, which the report prints.
        config=f"{RESULTS}/run_config.yaml",
        plan=f"{RESULTS}/analysis_plan.json",
    output:
        html=report(
            f"{REPORTS}/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"document": "report", "format": "HTML"},
        ),
        pdf=report(
            f"{REPORTS}/report.pdf",
            caption="../report/report.rst",
            category="Report",
            labels={"document": "report", "format": "PDF"},
        ),
    log:
        f"{RESULTS}/logs/study_report.log",
    benchmark:
        f"{RESULTS}/benchmarks/study_report.tsv"
    conda:
        "../envs/analysis.yaml"
    params:
        tables=list(TABLES),
        figures=FIGURES,
        code=code_digest(
            "report.content",
            "report.html",
            "report.pdf",
            "statistics.analysis_plan",
            "statistics.tests.sentences",
        ),
    script:
        "../scripts/study_report.py"


rule table_pages:
    # The finished tables as pages and as CSV, for Snakemake's own report and for spreadsheets.
    input:
        PAGED.values(),
    output:
        html=[
            report(
                f"{RESULTS}/pages/{name}.html",
                caption="../report/table.rst",
                category="Tables",
                labels={"table": name},
            )
            for name in PAGED
        ],
        csv=[f"{RESULTS}/pages/{name}.csv" for name in PAGED],
    log:
        f"{RESULTS}/logs/table_pages.log",
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_digest("report.page"),
    script:
        "../scripts/table_pages.py"


rule notebook:
    # The example that queries the Parquet tables, run on this study's results.
    input:
        # local: it is part of the checkout, also where results are in remote storage.
        notebook=local(f"{ROOT}/workflow/notebooks/query_parameters.ipynb"),
        parameters=PARAMETER_FILES,
        runs=f"{RESULTS}/runs.parquet",
        metrics=f"{RESULTS}/metrics.parquet",
    output:
        notebook=f"{RESULTS}/notebooks/query_parameters.ipynb",
        html=report(
            f"{RESULTS}/notebooks/query_parameters.html",
            caption="../report/notebook.rst",
            category="Notebooks",
            labels={"notebook": "query_parameters"},
        ),
    log:
        f"{RESULTS}/logs/notebook.log",
    conda:
        "../envs/analysis.yaml"
    params:
        results=lambda w, output: str(Path(output.notebook).parents[1]),
        run="",
        code=code_digest(
            "study.notebooks", "records.parameters", "records.study_results"
        ),
    script:
        "../scripts/run_notebook.py"


if EXPLAINED:

    rule explain_notebook:
        # The example that explains one channel by hand, on one run of this study and one clip.
        input:
            notebook=local(f"{ROOT}/workflow/notebooks/explain_a_channel.ipynb"),
            record=f"{RESULTS}/runs/{EXPLAINED[0]}/run.json",
            weights=f"{RESULTS}/runs/{EXPLAINED[0]}/best.safetensors",
            snapshots=f"{RESULTS}/runs/{EXPLAINED[0]}/snapshots.safetensors",
            clips=f"{RESULTS}/clips/{RUNS[EXPLAINED[0]].dataset}.parquet",
        output:
            notebook=f"{RESULTS}/notebooks/explain_a_channel.ipynb",
            html=report(
                f"{RESULTS}/notebooks/explain_a_channel.html",
                caption="../report/notebook.rst",
                category="Notebooks",
                labels={"notebook": "explain_a_channel"},
            ),
        log:
            f"{RESULTS}/logs/explain_notebook.log",
        conda:
            TRAINING_ENV
        params:
            results=lambda w, output: str(Path(output.notebook).parents[1]),
            run=lambda w, input: str(Path(input.record).parent),
            code=code_digest(
                "study.notebooks",
                "explain.run",
                "figures.trajectories",
                "records.study_results",
            ),
        script:
            "../scripts/run_notebook.py"


rule run_config:
    # The configuration as it was run, with every default, beside the results.
    output:
        f"{RESULTS}/run_config.yaml",
    log:
        f"{RESULTS}/logs/run_config.log",
    conda:
        "../envs/analysis.yaml"
    params:
        study=STUDY,
    script:
        "../scripts/run_config.py"
