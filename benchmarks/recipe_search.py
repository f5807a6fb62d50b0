"""Search for a recipe: how well 3T networks learn a study's data set, by recipe.

Trains networks of a study on a part of its training clips and measures them on the rest of the
training clips: validation clips, by which a study reports, are never looked at. One line per run is
added to a CSV file; runs that are in it already are not trained again, so that a search that was
stopped goes on. The data set has to be packed and the 2D weights trained (run the study first).

    python benchmarks/recipe_search.py config.yaml --dataset gestures --out search.csv \
        --rate-factor 1 10 30 --spread 0 0.1 0.2 --seeds 1 2 3
    python benchmarks/recipe_search.py --out search.csv --table
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HELD_OUT = 0.2  # share of each class's training clips
KEYS = [
    "dataset", "frames", "network", "convolution", "init", "rate_factor", "spread", "option",
    "seed",
]  # fmt: skip
COLUMNS = [*KEYS, "accuracy", "backwards", "identity", "seconds"]


def main() -> None:
    arguments = parse()
    out = Path(arguments.out)
    if arguments.table:
        print(table(pd.read_csv(out)))
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    refuse_unfinished(arguments.config, arguments.dataset)
    done = pd.read_csv(out, dtype=str)[KEYS].agg("|".join, axis=1).tolist() if out.exists() else []
    wanted = [job for job in jobs(arguments) if "|".join(str(job[k]) for k in KEYS) not in done]
    print(f"{len(wanted)} runs", file=sys.stderr)
    with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(run, arguments.config, job) for job in wanted]
        for number, future in enumerate(as_completed(futures), 1):
            row = future.result()
            fresh = not out.exists()
            with open(out, "a", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                if fresh:
                    writer.writeheader()
                writer.writerow(row)
            told = " ".join(f"{k}={row[k]}" for k in COLUMNS)
            print(f"{number}/{len(wanted)} {told}", file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", nargs="?", help="configuration of a study that ran")
    parser.add_argument("--out", required=True, help="CSV file")
    parser.add_argument("--table", action="store_true", help="print what the file holds, and end")
    parser.add_argument("--dataset", nargs="+", default=["gestures"])
    parser.add_argument("--network", nargs="+", default=["resnet18", "googlenet"])
    parser.add_argument("--convolution", nargs="+", default=["3t"])
    parser.add_argument("--init", nargs="+", default=["pretrained"])
    parser.add_argument("--rate-factor", nargs="+", default=["1"], help="30, or 30/10/30: s/r/t")
    parser.add_argument("--spread", nargs="+", default=["0"], help="0.2, or 0.1/0.2/0.2: s/r/t")
    parser.add_argument(
        "--option", nargs="+", default=["-"],
        help="NAME=VALUE of training settings, symmetric_time or filter_padding, several joined by "
        "commas; - for none",
    )  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--workers", type=int, default=1)
    return parser.parse_args()


def refuse_unfinished(config: str, datasets: list[str]) -> None:
    """Stop before anything is trained if there are no packed clips."""
    import yaml

    from threetconv.study.validate import validate_study

    results = validate_study(yaml.safe_load(Path(config).read_text()))["output"]["results"]
    for name in datasets:
        packed = Path(results, "packed", f"{name}.npy")
        if not packed.exists():
            sys.exit(f"{packed} does not exist: run the study first, `make report STUDY={config}`")


def jobs(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    import yaml

    from threetconv.study.validate import validate_study

    study = validate_study(yaml.safe_load(Path(arguments.config).read_text()))
    # seeds outermost, so that a search that is stopped has tried everything once
    for seed, dataset, network, convolution, init, option in itertools.product(
        arguments.seeds, arguments.dataset, arguments.network, arguments.convolution,
        arguments.init, arguments.option,
    ):  # fmt: skip
        recipes = itertools.product(arguments.rate_factor, arguments.spread)
        for rate_factor, spread in recipes if convolution == "3t" else [("-", "-")]:
            yield {
                "dataset": dataset, "frames": study["datasets"][dataset]["clip"]["frames"],
                "network": network, "convolution": convolution, "init": init,
                "rate_factor": rate_factor, "spread": spread, "option": option, "seed": seed,
            }  # fmt: skip


def run(config: str, job: dict[str, Any]) -> dict[str, Any]:
    """Train and measure one network."""
    import torch
    import yaml

    from threetconv.clips.dataset import ClipDataset
    from threetconv.clips.loader import Split
    from threetconv.layer.conv3t import Conv3T
    from threetconv.networks.build import build_network
    from threetconv.study.validate import validate_study
    from threetconv.support.files import read_parquet
    from threetconv.training.evaluate import evaluate
    from threetconv.training.loop import fit
    from threetconv.training.recipes import Recipe, spread_transforms
    from threetconv.training.settings import Settings

    torch.set_num_threads(1)
    study = validate_study(yaml.safe_load(Path(config).read_text()))
    results, training = Path(study["output"]["results"]), dict(study["training"])
    clip = study["datasets"][job["dataset"]]["clip"]
    shape = (clip["frames"], clip["height"], clip["width"])
    packed = results / "packed" / job["dataset"]
    clips = hold_out(read_parquet(packed.with_suffix(".parquet")))
    chosen = dict(item.split("=") for item in job["option"].split(",") if item != "-")
    builds = {k: chosen.pop(k) == "true" for k in list(chosen) if k == "symmetric_time"}
    filter_padding = chosen.pop("filter_padding", None)
    names = ("epochs", "batch_size", "schedule", "auxiliary_weight")
    settings = Settings(
        **{name: training[name] for name in names},
        learning_rate=training["learning_rate"].get(job["convolution"], 1e-3),
        snapshot_every=10**9,
    )
    settings = replace(settings, **{k: type(getattr(settings, k))(v) for k, v in chosen.items()})
    seed, kinds = job["seed"], ("scale", "rotate", "translate")
    if job["convolution"] == "3t":
        factor, spread = (amounts(job[key], kinds) for key in ("rate_factor", "spread"))
        settings = replace(settings, recipe=Recipe("search", factor, spread))
    started = time.perf_counter()
    with ClipDataset(
        clips, packed=packed.with_suffix(".npy"), frames=shape[0], size=shape[1:]
    ) as data:
        weights = results / "weights_2d" / f"{job['network']}.safetensors"
        network = build_network(
            job["network"], convolution=job["convolution"], num_classes=len(data.classes),
            clip_shape=shape, width=study["width"], seed=seed,
            weights=weights if job["init"] == "pretrained" else None, **builds,
        )  # fmt: skip
        if filter_padding is not None:
            for layer in (m for m in network.modules() if isinstance(m, Conv3T)):
                layer.filter_padding = filter_padding
        if job["convolution"] == "3t":
            spread_transforms(network, shape, settings.recipe.spread, seed=seed)
        train, held = (Split(data, clips, split, seed=seed) for split in ("train", "val"))
        result = fit(network, train, held, settings, seed=seed)
        network.load_state_dict(result.best_state)

        def accuracy(change: Any = None) -> float:
            part = Split(data, clips, "val", seed=seed, change=change)
            return round(100 * evaluate(network, part, batch_size=64)[1], 2)

        found = {
            "accuracy": accuracy(),
            "backwards": accuracy(lambda _, frames: frames[::-1].copy()),
        }
        at_identity(network)
        found["identity"] = accuracy()
    return job | found | {"seconds": round(time.perf_counter() - started, 1)}


def amounts(text: str, kinds: tuple[str, ...]) -> dict[str, float]:
    values = [float(part) for part in text.split("/")]
    return dict(zip(kinds, values * len(kinds) if len(values) == 1 else values, strict=False))


def hold_out(clips: pd.DataFrame) -> pd.DataFrame:
    """The training clips, every fifth of a class (in the order of a seeded draw) as "val"."""
    train = clips[clips["split"] == "train"]
    draw = pd.Series(np.random.default_rng(7).random(len(train)), index=train.index)
    rank = draw.groupby(train["label"]).rank(pct=True)
    return train.assign(split=np.where(rank <= HELD_OUT, "val", "train"))


def at_identity(network: Any) -> None:
    """Set all transforms to the identity, in place."""
    import torch

    from threetconv.layer.units import IDENTITY
    from threetconv.training.recipes import temporal_parameters

    with torch.no_grad():
        for _, name, parameter in temporal_parameters(network):
            parameter.fill_(IDENTITY[name])


def table(rows: pd.DataFrame) -> str:
    """Means over seeds, as a Markdown table."""
    keys = [key for key in KEYS if key != "seed"]
    groups = rows.groupby(keys, sort=False)
    found = groups[["accuracy", "backwards", "identity"]].mean().round(1)
    found.insert(0, "runs", groups["accuracy"].apply(lambda v: " ".join(f"{x:.0f}" for x in v)))
    return found.reset_index().to_markdown(index=False)


if __name__ == "__main__":
    main()
