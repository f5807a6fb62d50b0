# Finished tables -> figures (SVG).


rule clip_strips:
    # What the clips of a data set look like: one clip of some classes, frames running right.
    input:
        f"{RESULTS}/clips/{{dataset}}.parquet",
    output:
        strip=report(
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
        seed=lambda w: derive_seed(STUDY["seed"], f"strips/{w.dataset}"),
        code=code_digest("figures.clips", "strips"),
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
        code=code_digest("figures.accuracy"),
    script:
        "../scripts/accuracy_curves.py"


rule distributions:
    # The paper's Figure 4 (pretrained) or 5 (scratch), and its histograms with shared bins.
    input:
        densities=f"{RESULTS}/tables/densities.parquet",
        joint=f"{RESULTS}/tables/joint_densities.parquet",
        histograms=f"{RESULTS}/tables/histograms.parquet",
    output:
        distributions=report(
            f"{RESULTS}/figures/distributions_{{init}}.svg",
            caption="../report/distributions.rst",
            category="Temporal parameters",
            labels={"figure": "densities", "init": "{init}"},
        ),
        histograms=report(
            f"{RESULTS}/figures/histograms_{{init}}.svg",
            caption="../report/histograms.rst",
            category="Temporal parameters",
            labels={"figure": "histograms", "init": "{init}"},
        ),
    log:
        f"{RESULTS}/logs/distributions/{{init}}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_digest("figures.distributions", "figures.histograms"),
    script:
        "../scripts/distributions.py"


rule effects:
    input:
        f"{RESULTS}/tests.parquet",
    output:
        report(
            f"{RESULTS}/figures/effects.svg",
            caption="../report/effects.rst",
            category="Tests",
            labels={"figure": "effects"},
        ),
    log:
        f"{RESULTS}/logs/effects.log",
    conda:
        "../envs/analysis.yaml"
    params:
        code=code_digest("figures.effects"),
    script:
        "../scripts/effects.py"


FIGURES = {
    **{f"clips_{name}": f"{RESULTS}/figures/clips_{name}.svg" for name in DATASETS},
    "accuracy": f"{RESULTS}/figures/accuracy.svg",
    **{
        f"{kind}_{init}": f"{RESULTS}/figures/{kind}_{init}.svg"
        for init in INITS
        for kind in ("distributions", "histograms")
    },
    "effects": f"{RESULTS}/figures/effects.svg",
}
