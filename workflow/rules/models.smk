# Clips -> networks -> checkpoints.


if STUDY["weights_2d"]["source"] == "stills":

    rule train_on_stills:
        # 2D weights: the network that will be lifted, trained on still images.
        input:
            f"{RESULTS}/stills",
        output:
            f"{RESULTS}/weights_2d/{{network}}.safetensors",
        log:
            f"{RESULTS}/logs/train_on_stills/{{network}}.log",
        benchmark:
            f"{RESULTS}/benchmarks/train_on_stills/{{network}}.tsv"
        conda:
            "../envs/training.yaml"
        threads: 1
        resources:
            mem_mb=2000,
        params:
            stills=STUDY["weights_2d"]["stills"],
            width=STUDY["width"],
            seed=lambda w: derive_seed(STUDY["seed"], f"stills/{w.network}"),
            code=code_digest("pretraining"),
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
            "../envs/training.yaml"
        params:
            cache=f"{RESULTS}/downloads",
            code=code_digest("pretraining"),
        script:
            "../scripts/fetch_imagenet.py"


rule train:
    # One run: one cell of the design, one seed.
    input:
        unpack(run_inputs),
    output:
        record=f"{RESULTS}/runs/{{run_id}}/run.json",
        weights=f"{RESULTS}/runs/{{run_id}}/best.safetensors",
        snapshots=f"{RESULTS}/runs/{{run_id}}/snapshots.safetensors",
        metrics=f"{RESULTS}/runs/{{run_id}}/metrics.parquet",
    log:
        f"{RESULTS}/logs/train/{{run_id}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{run_id}}.tsv"
    conda:
        "../envs/training.yaml"
    # Two single-threaded runs beside each other beat one on two cores, and the number of threads
    # is part of what makes float32 sums repeat exactly. Raise it with --set-threads.
    threads: 1
    resources:
        mem_mb=4000,
    params:
        run=lambda w: RUNS[w.run_id].to_dict(),
        settings=run_settings,
        clip=lambda w: DATASETS[RUNS[w.run_id].dataset]["clip"],
        width=STUDY["width"],
        carry=STUDY["weights_2d"]["carry"],
        device=STUDY["training"]["device"],
        code=code_digest("runs", "training", "networks", "clips", "controls"),
    script:
        "../scripts/train.py"
