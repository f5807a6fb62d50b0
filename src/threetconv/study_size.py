"""How large a validated study is, before anything of it exists: clips and jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from threetconv.errors import InputError, look_up
from threetconv.plan import plan_runs

__all__ = ["clip_counts", "jobs_before_training", "positive", "published_counts", "table_file"]

Config = dict[str, Any]
Counts = tuple[int, int, int]  # train, val, test


def published_counts(dataset: Mapping[str, Any]) -> dict[str, int] | None:
    """Published clips by split and classes of a data set; None for a part of one, or unknown."""
    from threetconv.data.published import PUBLISHED  # noqa: PLC0415 (pandas, with its package)

    options = dataset["options"]
    if "render" in dataset or "classes" in options:
        return None
    name = dataset["adapter"]
    counts = PUBLISHED.get(f"{name}/{options.get('split', 1)}", PUBLISHED.get(name))
    return None if counts is None else dict(counts)


def clip_counts(config: Config, given: Sequence[str] = ()) -> tuple[dict[str, Counts], list[str]]:
    """(train, val, test) clips of each data set, and where each number is from, in words.

    First of: given by hand ("jester=118562" or "jester=118562/14787"), the clip table in the
    study's results folder, what is rendered, what is published.
    """
    by_hand = {}
    for text in given:
        name, _, value = text.partition("=")
        look_up(config["datasets"], name, what="data set of the study")
        train, _, val = value.partition("/")
        where = f"--clips {text}"
        by_hand[name] = (round(positive(where, train)), round(positive(where, val or "1")), 0)
        by_hand[name] = by_hand[name] if val else (by_hand[name][0], 0, 0)
    counts, words = {}, []
    for name, dataset in config["datasets"].items():
        file, published = table_file(config, name), published_counts(dataset)
        if name in by_hand:
            counts[name], source = by_hand[name], "as given"
        elif file.is_file():
            counts[name], source = _counted(file), f"counted in {file}"
        elif "render" in dataset:
            clips = dataset["render"]["clips"]
            counts[name], source = (clips["train"], clips["val"], 0), "to be rendered"
        elif published is not None:
            counts[name], source = _of_published(published, dataset["options"]), "as published"
        else:
            raise InputError(
                f"data set {name!r}",
                found="no clip table in the results folder, no published number",
                expected="the number of training clips",
                remedy=f"add --clips {name}=NUMBER",
            )
        n, held, test = counts[name]
        last = f", {test:,} test" if test else ""
        words.append(f"{name}: {n:,} training, {held:,} validation{last} clips, {source}.")
    return counts, words


def table_file(config: Config, name: str) -> Path:
    """Where the workflow puts the clip table of a data set."""
    return Path(config["output"]["results"], "clips", f"{name}.parquet")


def _counted(file: Path) -> Counts:
    from threetconv.files import read_parquet  # noqa: PLC0415 (arrow)

    splits = Counter(read_parquet(file, columns=["split"])["split"])
    return splits["train"], splits["val"], splits["test"]


def _of_published(published: Mapping[str, int], options: Mapping[str, Any]) -> Counts:
    """A published validation list, or a part held out of the training list, or the test list."""
    train, val, test = (published.get(split, 0) for split in ("train", "val", "test"))
    if val:
        return train, val, 0  # the published test clips have no labels
    if options.get("selection") == "test":
        return train, test, 0
    held = round(options.get("holdout", 0.1) * train)
    return train - held, held, test


def jobs_before_training(config: Config) -> int:
    """Jobs before training: render, clip tables, packing, 2D weights (and their still images)."""
    sets = config["datasets"].values()
    pretrained = {r.network for r in plan_runs(config) if r.init == "pretrained"}
    stills = bool(pretrained) and config["weights_2d"]["source"] == "stills"
    rendered = sum("render" in dataset for dataset in sets)
    packed = sum(dataset["store"] == "packed" for dataset in sets)
    return len(sets) + rendered + packed + len(pretrained) + stills


def positive(where: str, text: str) -> float:
    """The number that an option was given.

    Raises:
        InputError: no number, or none above 0.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise InputError(
            where, found=repr(text), expected="NAME=a number above 0", remedy="correct the number"
        )
    return value
