# Finished tables -> figures (SVG).


rule clip_strips:
    # Example clips of a data set: one clip of some classes, frames from left to right.
    input:
        table=f"{RESULTS}/clips/{{dataset}}.parquet",
        # Not read by the script: it changes when the videos do.
        contents=f"{RESULTS}/clips/{{dataset}}.contents.json",
    output:
        report(
            f"{RESULTS}/figures/clips_{{dataset}}.svg",
            caption="../report/clips.rst",
            category="Data",
            labels={"data set": "{dataset}", "figure": "clips"},
        ),
    log:
        f"{RESULTS}/logs/clip_strips/{{dataset}}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        clip=lambda w: DATASETS[w.dataset]["clip"],
        on_bad_clip=lambda w: DATASETS[w.dataset]["on_bad_clip"],
        max_bad_share=lambda w: DATASETS[w.dataset]["max_bad_share"],
        seed=lambda w: derive_seed(STUDY["seed"], f"strips/{w.dataset}"),
        code=code_digest("figures.clips", "clips.strips"),
    script:
        "../scripts/clip_strips.py"


rule accuracy_curves:
    input:
        metrics=f"{RESULTS}/metrics.parquet",
        runs=f"{RESULTS}/runs.parquet",
    output:
        report(
            f"{RESULTS}/figures/accuracy.svg",
            caption="../report/accuracy.rst",
            category="Accuracy",
            labels={"figure": "accuracy by epoch"},
        ),
    log:
        f"{RESULTS}/logs/accuracy_curves.log",
    conda:
        "../envs/analysis.yaml"
    params:
        # Name of the entry in `threetconv.figures.registry.FIGURES`; so in all rules
        # with this script.
        figure="accuracy",
        code=code_digest("figures.accuracy"),
    script:
        "../scripts/figures.py"


rule distributions:
    # The paper's Figure 4 (pretrained) or 5 (scratch), and its histograms with shared bins.
    input:
        densities=f"{RESULTS}/tables/densities.parquet",
        joint=f"{RESULTS}/tables/joint_densities.parquet",
        histograms=f"{RESULTS}/tables/histograms.parquet",
    output:
        report(
            f"{RESULTS}/figures/{{recipe}}/distributions_{{init}}.svg",
            caption="../report/distributions.rst",
            category="Temporal parameters",
            labels={"figure": "densities", "recipe": "{recipe}", "init": "{init}"},
        ),
        report(
            f"{RESULTS}/figures/{{recipe}}/histograms_{{init}}.svg",
            caption="../report/histograms.rst",
            category="Temporal parameters",
            labels={"figure": "histograms", "recipe": "{recipe}", "init": "{init}"},
        ),
    log:
        f"{RESULTS}/logs/distributions/{{recipe}}/{{init}}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        figure="distributions",
        options=lambda w: {"init": w.init},
        code=code_digest("figures.parameters"),
    script:
        "../scripts/figures.py"


rule effects:
    input:
        tests=f"{RESULTS}/tests.parquet",
    output:
        report(
            f"{RESULTS}/figures/{{recipe}}/effects.svg",
            caption="../report/effects.rst",
            category="Tests",
            labels={"figure": "effects", "recipe": "{recipe}"},
        ),
    log:
        f"{RESULTS}/logs/effects/{{recipe}}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        figure="effects",
        code=code_digest("figures.effects"),
    script:
        "../scripts/figures.py"


rule controls:
    # Displacement over noise floor, of real runs and of negative controls.
    input:
        summaries=f"{RESULTS}/summaries.parquet",
    output:
        report(
            f"{RESULTS}/figures/{{recipe}}/controls.svg",
            caption="../report/controls.rst",
            category="Temporal parameters",
            labels={"figure": "noise floor and controls", "recipe": "{recipe}"},
        ),
    log:
        f"{RESULTS}/logs/controls/{{recipe}}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        figure="controls",
        code=code_digest("figures.controls"),
    script:
        "../scripts/figures.py"


rule profiles:
    # Displacement by depth, and the layers that differ.
    input:
        layer_profile=f"{RESULTS}/layer_profile.parquet",
        tests=f"{RESULTS}/tests.parquet",
    output:
        report(
            expand(
                f"{RESULTS}/figures/{{recipe}}/profile_{{network}}.svg",
                network=STUDY["networks"],
                allow_missing=True,
            ),
            caption="../report/profiles.rst",
            category="Temporal parameters",
            labels={"figure": "displacement by depth", "recipe": "{recipe}"},
        ),
    log:
        f"{RESULTS}/logs/profiles/{{recipe}}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        figure="profiles",
        options={
            "networks": STUDY["networks"],
            # Layers are marked as differing at this level.
            "alpha": STUDY["statistics"]["alpha"],
        },
        code=code_digest("figures.profile"),
    script:
        "../scripts/figures.py"


rule calibration_figure:
    input:
        table=f"{RESULTS}/calibration.parquet",
    output:
        report(
            f"{RESULTS}/figures/calibration.svg",
            caption="../report/calibration.rst",
            category="Tests",
            labels={"figure": "calibration"},
        ),
    log:
        f"{RESULTS}/logs/calibration_figure.log",
    conda:
        "../envs/analysis.yaml"
    params:
        figure="calibration",
        code=code_digest("figures.calibration"),
    script:
        "../scripts/figures.py"


rule truth_figures:
    input:
        agreement_table=f"{RESULTS}/agreement.parquet",
        agreement_runs=f"{RESULTS}/agreement_runs.parquet",
        reproducibility_table=f"{RESULTS}/reproducibility.parquet",
    output:
        report(
            f"{RESULTS}/figures/{{recipe}}/agreement.svg",
            caption="../report/agreement.rst",
            category="Tuning",
            labels={"figure": "agreement with parameters", "recipe": "{recipe}"},
        ),
        report(
            f"{RESULTS}/figures/{{recipe}}/reproducibility.svg",
            caption="../report/reproducibility.rst",
            category="Temporal parameters",
            labels={"figure": "reproducibility", "recipe": "{recipe}"},
        ),
    log:
        f"{RESULTS}/logs/truth_figures/{{recipe}}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        figure="truth",
        code=code_digest("figures.truth"),
    script:
        "../scripts/figures.py"


if NEED_FILES:

    rule need_figure:
        # Accuracy of every run, by what was taken from clips and transforms.
        input:
            need_runs=f"{RESULTS}/need_runs.parquet",
        output:
            report(
                f"{RESULTS}/figures/{{recipe}}/need.svg",
                caption="../report/need.rst",
                category="Accuracy",
                labels={"figure": "what accuracy needs", "recipe": "{recipe}"},
            ),
        log:
            f"{RESULTS}/logs/need_figure/{{recipe}}.log",
        conda:
            "../envs/analysis.yaml"
        params:
            figure="need",
            code=code_digest("figures.need"),
        script:
            "../scripts/figures.py"


if RULER_FILES:

    rule ruler_figure:
        # Share of 3D filters that 3T filters explain, and whether they move alike; by run.
        input:
            by_run=f"{RESULTS}/ruler_runs.parquet",
        output:
            report(
                f"{RESULTS}/figures/ruler.svg",
                caption="../report/ruler.rst",
                category="Tuning",
                labels={"figure": "3D filters as moving 2D filters"},
            ),
        log:
            f"{RESULTS}/logs/ruler_figure.log",
        conda:
            "../envs/analysis.yaml"
        params:
            figure="ruler",
            code=code_digest("figures.ruler"),
        script:
            "../scripts/figures.py"


if PREFERENCE_FILES:

    rule prediction_figure:
        input:
            table=f"{RESULTS}/prediction.parquet",
            by_run=f"{RESULTS}/prediction_runs.parquet",
        output:
            report(
                f"{RESULTS}/figures/{{recipe}}/prediction.svg",
                caption="../report/prediction.rst",
                category="Tuning",
                labels={"figure": "preferences predicted", "recipe": "{recipe}"},
            ),
        log:
            f"{RESULTS}/logs/prediction_figure/{{recipe}}.log",
        conda:
            "../envs/analysis.yaml"
        params:
            figure="prediction",
            code=code_digest("figures.prediction"),
        script:
            "../scripts/figures.py"


if PLANTED:

    rule planted_figures:
        input:
            **{
                name: PLANTED_TABLES[name]
                for name in ("planted_tuning",)
                if PLANTED_TUNED
            },
            planted_table=f"{RESULTS}/planted.parquet",
            alignment_table=f"{RESULTS}/alignment.parquet",
        output:
            report(
                f"{RESULTS}/figures/{{recipe}}/planted.svg",
                caption="../report/planted.rst",
                category="Planted truth",
                labels={"figure": "motion by parameter", "recipe": "{recipe}"},
            ),
            report(
                f"{RESULTS}/figures/{{recipe}}/alignment.svg",
                caption="../report/alignment.rst",
                category="Planted truth",
                labels={"figure": "direction", "recipe": "{recipe}"},
            ),
        log:
            f"{RESULTS}/logs/planted_figures/{{recipe}}.log",
        conda:
            "../envs/analysis.yaml"
        params:
            figure="planted",
            code=code_digest("figures.planted"),
        script:
            "../scripts/figures.py"


# By the names under which the report asks for them (`threetconv.report.content`).
OF_RECIPES = [
    *(f"{kind}_{init}" for init in INITS for kind in ("distributions", "histograms")),
    *(f"profile_{name}" for name in STUDY["networks"]),
    *("controls", "effects", "agreement", "reproducibility"),
    *(("need",) if NEED_FILES else ()),
    *(("planted", "alignment") if PLANTED else ()),
    *(("prediction",) if PREFERENCE_FILES else ()),
]
FIGURES = {
    name: f"{RESULTS}/figures/{name}.svg"
    for name in [
        *(f"clips_{name}" for name in DATASETS),
        *("accuracy", "calibration"),
        *(("ruler",) if RULER_FILES else ()),
        *(f"{recipe}/{name}" for recipe in RECIPES for name in OF_RECIPES),
        *(("explained_gallery",) if EXPLAINED else ()),
        *(
            f"{kind}_{network}_{dataset}"
            for network, dataset in EXPLAINED_PAIRS
            for kind in ("explained", "class_drops")
        ),
    ]
}
