# Videos -> clip tables -> packed clips.

if workflow.is_main_process:
    # Snakemake does not watch the videos themselves. Where one was replaced, a note is
    # written, which is an input of `clip_table`.
    for change in LAYOUT.note_changed_clips():
        print(change, file=sys.stderr)


rule render:
    # A synthetic set as real files, in the layout of the data set it stands in for.
    output:
        directory(f"{RESULTS}/data/{{dataset}}"),
    log:
        f"{RESULTS}/logs/render/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/render/{{dataset}}.tsv"
    wildcard_constraints:
        dataset=any_of(RENDERED),
    conda:
        "../envs/analysis.yaml"
    threads: 8
    params:
        render=lambda w: DATASETS[w.dataset]["render"],
        # A seed per data set: adding one to the study leaves the others as they are.
        seed=lambda w: derive_seed(STUDY["seed"], f"render/{w.dataset}"),
        code=code_digest(
            "data.synthetic.gestures",
            "data.synthetic.scenes",
            "data.synthetic.planted",
        ),
    script:
        "../scripts/render.py"


rule render_stills:
    # Labelled still images: what the 2D networks are pretrained on.
    output:
        directory(f"{RESULTS}/stills"),
    log:
        f"{RESULTS}/logs/render_stills.log",
    benchmark:
        f"{RESULTS}/benchmarks/render_stills.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 8
    params:
        stills=STUDY["weights_2d"]["stills"],
        seed=derive_seed(STUDY["seed"], "render/stills"),
        code=code_digest("data.synthetic.stills"),
    script:
        "../scripts/render_stills.py"


rule clip_table:
    # The table of clips (path, label, split), and sizes and times of the files. Nothing is copied.
    input:
        lambda w: (
            LAYOUT.dataset_root(w.dataset)
            if w.dataset in RENDERED
            else [
                str(note) for note in [LAYOUT.changed_note(w.dataset)] if note.exists()
            ]
        ),
    output:
        table=f"{RESULTS}/clips/{{dataset}}.parquet",
        contents=f"{RESULTS}/clips/{{dataset}}.contents.json",
    log:
        f"{RESULTS}/logs/clip_table/{{dataset}}.log",
    conda:
        "../envs/analysis.yaml"
    params:
        root=lambda w: LAYOUT.dataset_root(w.dataset),
        adapter=lambda w: DATASETS[w.dataset]["adapter"],
        options=lambda w: DATASETS[w.dataset]["options"],
        # Only the code of this data set's adapter: editing another one must not rerun this rule.
        code=lambda w: code_digest(
            f"data.adapters.{adapter_module(DATASETS[w.dataset]['adapter'])}",
            "data.contents",
        ),
    script:
        "../scripts/clip_table.py"


rule pack_clips:
    # Every clip decoded once: one array of uint8 frames, and what was read of each file.
    input:
        table=f"{RESULTS}/clips/{{dataset}}.parquet",
        contents=f"{RESULTS}/clips/{{dataset}}.contents.json",
    output:
        array=f"{RESULTS}/packed/{{dataset}}.npy",
        table=f"{RESULTS}/packed/{{dataset}}.parquet",
        left_out=f"{RESULTS}/packed/{{dataset}}.left_out.csv",
    log:
        f"{RESULTS}/logs/pack_clips/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/pack_clips/{{dataset}}.tsv"
    conda:
        "../envs/analysis.yaml"
    threads: 8
    params:
        clip=lambda w: DATASETS[w.dataset]["clip"],
        on_bad_clip=lambda w: DATASETS[w.dataset]["on_bad_clip"],
        max_bad_share=lambda w: DATASETS[w.dataset]["max_bad_share"],
        code=code_digest("clips.packed", "schemas.clips"),
    script:
        "../scripts/pack_clips.py"
