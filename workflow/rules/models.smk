# Clips -> networks -> checkpoints.

if workflow.is_main_process and (leak := LAYOUT.order_leak()):
    print(leak, file=sys.stderr)


if STUDY["weights_2d"]["source"] == "stills":

    rule train_on_stills:
        # 2D weights, to be lifted to 3T or 3D: the 2D network trained on still images.
        input:
            f"{RESULTS}/stills",
        output:
            f"{RESULTS}/weights_2d/{{network}}.safetensors",
        log:
            f"{RESULTS}/logs/train_on_stills/{{network}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/train_on_stills/{{network}}.tsv"
        conda:
            TRAINING_ENV
        threads: 1
        resources:
            mem_mb=2000,
        params:
            stills=STUDY["weights_2d"]["stills"],
            width=STUDY["width"],
            seed=lambda w: derive_seed(STUDY["seed"], f"stills/{w.network}"),
            code=code_digest("training.pretrain_2d"),
        script:
            "../scripts/train_on_stills.py"

else:

    rule fetch_imagenet:
        # 2D weights: torchvision's, checksum verified, kept in torch's own cache.
        output:
            f"{RESULTS}/weights_2d/{{network}}.safetensors",
        log:
            f"{RESULTS}/logs/fetch_imagenet/{{network}}.log",
        conda:
            TRAINING_ENV
        params:
            cache=f"{RESULTS}/downloads",
            code=code_digest("training.pretrain_2d"),
        script:
            "../scripts/fetch_imagenet.py"


localrules:
    analysis_plan,


rule analysis_plan:
    # What will be tested, hashed before training: it needs no input and is first in the queue, and
    # says of itself if a run had been trained before. It is no input of training, not even an
    # `ancient` one: Snakemake looks for changed settings in no job that stands behind one that it
    # is going to run. `update` keeps the first plan, beside which changes are listed.
    output:
        update(f"{RESULTS}/analysis_plan.json"),
    priority: 100
    log:
        f"{RESULTS}/logs/analysis_plan.log",
    conda:
        "../envs/analysis.yaml"
    params:
        study=STUDY,
        code=code_digest("statistics.analysis_plan"),
    script:
        "../scripts/analysis_plan.py"


rule train:
    # One run: one cell of the design, one seed. A run that was stopped goes on from its newest
    # checkpoint, which lies beside the outputs because Snakemake deletes those of a stopped job.
    input:
        unpack(lambda w: LAYOUT.run_inputs(w.run_id)),
    output:
        record=f"{RESULTS}/runs/{{run_id}}/run.json",
        weights=f"{RESULTS}/runs/{{run_id}}/best.safetensors",
        snapshots=f"{RESULTS}/runs/{{run_id}}/snapshots.safetensors",
        metrics=f"{RESULTS}/runs/{{run_id}}/metrics.parquet",
    log:
        f"{RESULTS}/logs/train/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{run_id}}.tsv"
    wildcard_constraints:
        # Rules `train`, `take_from_batch` and `fetch_run` have the same outputs; every run
        # belongs to one of them.
        run_id=any_of(LAYOUT.trained_alone),
    conda:
        TRAINING_ENV
    # Two single-threaded runs beside each other beat one on two cores, and the number of threads
    # is part of what makes float32 sums repeat exactly. Raise it with --set-threads.
    threads: 1
    resources:
        mem_mb=4000,
        gpu=1 if STUDY["training"]["device"] == "cuda" else 0,
        # Processes that share each batch (one per GPU), and seconds between two checkpoints. As
        # resources they belong to the machine (profile), and changing them reruns nothing.
        processes=1,
        checkpoint_seconds=60,
    params:
        runs=lambda w: [RUNS[w.run_id].to_dict()],
        # Only what concerns this run, so that other settings may change without
        # training it again.
        settings=lambda w: LAYOUT.run_settings(w.run_id),
        data=lambda w: LAYOUT.run_data(w.run_id),
        clip=lambda w: DATASETS[RUNS[w.run_id].dataset]["clip"],
        width=STUDY["width"],
        symmetric_time=STUDY["symmetric_time"],
        carry=STUDY["weights_2d"]["carry"],
        device=STUDY["training"]["device"],
        checkpoints=f"{RESULTS}/checkpoints",
        code=code_digest("training.train_run"),
    script:
        "../scripts/train.py"


if LAYOUT.batches:

    def first_of(wildcards):
        """A run of the batch: all are of one cell."""
        return LAYOUT.batches[wildcards.batch][0]

    use rule train as train_batch with:
        # Several runs of one cell, one after another: a process is started once for all of them.
        input:
            unpack(lambda w: LAYOUT.run_inputs(first_of(w))),
        output:
            done=f"{RESULTS}/batches/{{batch}}/done.txt",
        log:
            f"{RESULTS}/logs/train_batch/{{batch}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/train_batch/{{batch}}.tsv"
        wildcard_constraints:
            batch=any_of(LAYOUT.batches),
        params:
            runs=lambda w: [
                RUNS[run_id].to_dict() for run_id in LAYOUT.batches[w.batch]
            ],
            settings=lambda w: LAYOUT.run_settings(first_of(w)),
            data=lambda w: LAYOUT.run_data(first_of(w)),
            clip=lambda w: DATASETS[RUNS[first_of(w)].dataset]["clip"],
            width=STUDY["width"],
            symmetric_time=STUDY["symmetric_time"],
            carry=STUDY["weights_2d"]["carry"],
            device=STUDY["training"]["device"],
            checkpoints=f"{RESULTS}/checkpoints",
            code=code_digest("training.train_run"),

    localrules:
        take_from_batch,

    rule take_from_batch:
        # The files of one run, as links to those of its batch.
        input:
            lambda w: f"{RESULTS}/batches/{LAYOUT.batch_of[w.run_id]}/done.txt",
        output:
            record=f"{RESULTS}/runs/{{run_id}}/run.json",
            weights=f"{RESULTS}/runs/{{run_id}}/best.safetensors",
            snapshots=f"{RESULTS}/runs/{{run_id}}/snapshots.safetensors",
            metrics=f"{RESULTS}/runs/{{run_id}}/metrics.parquet",
        wildcard_constraints:
            run_id=any_of(LAYOUT.batch_of),
        params:
            made=lambda w: f"{RESULTS}/batches/{LAYOUT.batch_of[w.run_id]}/{w.run_id}",
            folder=lambda w: f"{RESULTS}/runs/{w.run_id}",
        shell:
            # A shell starts in no time; copies, where the file system has no links.
            "for file in run.json best.safetensors snapshots.safetensors metrics.parquet; do "
            "ln -f {params.made:q}/$file {params.folder:q}/ 2>/dev/null "
            "|| cp {params.made:q}/$file {params.folder:q}/; done"


rule fetch_run:
    # A run whose weights the study names: fetched, checked, and measured on the study's clips.
    input:
        unpack(lambda w: LAYOUT.run_inputs(w.run_id)),
    output:
        record=f"{RESULTS}/runs/{{run_id}}/run.json",
        weights=f"{RESULTS}/runs/{{run_id}}/best.safetensors",
        snapshots=f"{RESULTS}/runs/{{run_id}}/snapshots.safetensors",
        metrics=f"{RESULTS}/runs/{{run_id}}/metrics.parquet",
    log:
        f"{RESULTS}/logs/fetch_run/{{run_id}}.log",
    wildcard_constraints:
        run_id=any_of(FETCHED),
    conda:
        TRAINING_ENV
    threads: 1
    resources:
        mem_mb=4000,
    params:
        run=lambda w: RUNS[w.run_id].to_dict(),
        checkpoint=lambda w: LAYOUT.fetched_from(w.run_id),
        clip=lambda w: DATASETS[RUNS[w.run_id].dataset]["clip"],
        on_bad_clip=lambda w: DATASETS[RUNS[w.run_id].dataset]["on_bad_clip"],
        max_bad_share=lambda w: DATASETS[RUNS[w.run_id].dataset]["max_bad_share"],
        width=STUDY["width"],
        symmetric_time=STUDY["symmetric_time"],
        carry=STUDY["weights_2d"]["carry"],
        device=STUDY["training"]["device"],
        cache=f"{RESULTS}/downloads",
        code=code_digest("training.fetch_run"),
    script:
        "../scripts/fetch_run.py"


rule order_leak:
    # Which stages tell a clip from its reverse although no filter changes over time, before training.
    output:
        f"{RESULTS}/order_leak.parquet",
    log:
        f"{RESULTS}/logs/order_leak.log",
    benchmark:
        f"{RESULTS}/benchmarks/order_leak.tsv"
    conda:
        TRAINING_ENV
    threads: 1
    resources:
        mem_mb=4000,
    params:
        cells=LAYOUT.leak_cells,
        width=STUDY["width"],
        symmetric_time=STUDY["symmetric_time"],
        code=code_digest("networks.order_leak", "schemas.runs"),
    script:
        "../scripts/order_leak.py"


rule model_cards:
    # A model card beside the weights of each run: what they are and how to load them.
    input:
        records=RUN_RECORDS,
        metrics=[f"{RESULTS}/runs/{run_id}/metrics.parquet" for run_id in RUNS],
    output:
        MODEL_CARDS,
    log:
        f"{RESULTS}/logs/model_cards.log",
    conda:
        "../envs/analysis.yaml"
    params:
        facts=[LAYOUT.card_facts(run_id) for run_id in RUNS],
        code=code_digest("records.model_card"),
    script:
        "../scripts/model_cards.py"
