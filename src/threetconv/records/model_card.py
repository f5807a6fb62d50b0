"""The model card of a run folder: what the weights are, how they were measured, how to load them.

Markdown with the YAML header that the Hugging Face hub reads, from run.json and metrics.parquet
alone. torch is not needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from threetconv.errors import InputError
from threetconv.records.run_folder import damaged_run, read_run
from threetconv.schemas.runs import CONTROLS, CONVOLUTIONS
from threetconv.support.files import read_parquet

__all__ = ["model_card"]

SETTINGS = {  # of training: field of the record -> words
    "optimiser": "optimiser",
    "lr": "learning rate",
    "recipe": "recipe of temporal parameters",
    "recipe_details": "the recipe's settings",
    "settings": "all settings",
    "schedule": "schedule",
    "epochs": "epochs at most",
    "early_stopping": "epochs without gain before it ends",
    "batch_size": "clips per update",
    "micro_batch": "clips in memory at once",
    "class_weights": "class weights",
    "precision": "precision",
    "processes": "processes",
    "n_updates": "updates",
    "best_epoch": "epoch of these weights",
    "best_step": "update of these weights",
    "sum_lr2": "sum of squared learning rates of temporal parameters",
    "n_train": "training clips",
    "seed": "seed",
    "replicate": "replicate",
    "seconds": "seconds of training",
}
ELSEWHERE = {  # fields of the record that the card tells in other places
    "run_id", "network", "dataset", "init", "convolution", "control", "source", "frames", "height",
    "width", "width_factor", "symmetric_time", "num_classes", "n_val", "n_test", "n_bad_clips",
    "n_parameters", "n_temporal", "carry", "weights_sha256", "git_sha", "versions", "status",
    "licence", "fetched_from", "fetched_sha256", "fetched_format",
}  # fmt: skip
NOT_FETCHED = ("best_epoch", "seed", "replicate", "seconds")  # of this study, not its training
SELECTIONS = {
    "val": "The split `val` was held out of training; the epoch of these weights was chosen on it, "
    "so its accuracy tends to be too high.",
    "test": "The split `val` is the data set's published test list, as in the paper, and the epoch "
    "of these weights was chosen on it, so its accuracy tends to be too high.",
}
FETCHED = (
    "Measured here, on the study's own split `val`. On which clips they were trained and "
    "selected is not known; they may have been among these."
)
LOADING = """\
```python
from threetconv.clips.dataset import normalise
from threetconv.data.decoding.decode import read_frames
from threetconv.records.load_model import load_model

network = load_model("{folder}")  # the folder of this file; evaluation mode
clip = read_frames("{clip}", frames={frames}, size=({height}, {width}))
logits = network(normalise(clip[None]))  # (1, {num_classes}), classes in the order above
```"""


def model_card(
    folder: str | Path, *, synthetic: bool | None = None, selection: str = "val", licence: str = ""
) -> str:
    """The model card of a finished run, trained or fetched.

    Args:
        folder: the run's folder.
        synthetic: whether the clips were rendered; None where that is not known.
        selection: the split on which the best epoch was chosen: "val", or "test" where the study
            uses the published test list for it.
        licence: of the weights, as an SPDX identifier or in words; what run.json says is taken
            first. Without either it is "unknown".

    Returns:
        Markdown, with a YAML header.

    Raises:
        InputError: no record or metrics in the folder, no validation accuracy of the best epoch, or
            another selection.
    """
    if selection not in SELECTIONS:
        raise InputError(
            f"selection {selection!r}",
            found="no split of that name to select on",
            expected=f"one of {', '.join(SELECTIONS)}",
            remedy="give the split on which the best epoch was chosen",
        )
    document = read_run(folder)
    record: dict[str, Any] = document["run"]
    results = _results(Path(folder), record)
    licence = str(record.get("licence") or licence)
    head = yaml.safe_dump(_header(record, results, licence), sort_keys=False, allow_unicode=True)
    body = [
        f"# {record['run_id']}",
        _what(record),
        "## Data\n\n" + _data(record, document["classes"], synthetic),
        "## Results\n\n" + _table(["split", "accuracy", "loss", "clips"], _lines(results)),
        f"Chance is {1 / record['num_classes']:.4f} (1 of {record['num_classes']} classes). "
        + (FETCHED if record["source"] == "fetched" else SELECTIONS[selection])
        + _test(results, record["source"]),
        "## Training\n\n" + _table(["setting", "value"], _settings(record)),
        "## How to load it\n\n"
        + LOADING.format_map(record | {"folder": ".", "clip": "clip.mp4"})
        + "\n\nInput: RGB clips, frames evenly spaced over the clip, resized without keeping the "
        "aspect ratio, normalised with ImageNet's mean and SD.",
        "## Limits\n\n" + "\n".join(f"- {text}" for text in _limits(record, synthetic)),
        "## Files and versions\n\n" + _table(["what", "value"], _files(record, licence)),
    ]
    return f"---\n{head}---\n\n" + "\n\n".join(body) + "\n"


def _results(folder: Path, record: Mapping[str, Any]) -> pd.DataFrame:
    """One row per split, "val" first: loss, accuracy, n, at the best epoch."""
    file = folder / "metrics.parquet"
    try:
        metrics = read_parquet(file)
        best = metrics[(metrics["epoch"] == record["best_epoch"]) & (metrics["split"] != "train")]
        table = best.pivot_table(index="split", columns="metric", values="value", aggfunc="last")
        table["n"] = best.groupby("split")["n"].last()
        return table.loc[sorted(table.index, key=lambda s: s != "val"), ["accuracy", "loss", "n"]]
    except (OSError, KeyError) as error:
        found = f"no loss and accuracy of epoch {record['best_epoch']} on val"
        raise damaged_run(file.parent, f"{found} ({error})", file=file.name) from error


def _header(record: Mapping[str, Any], results: pd.DataFrame, licence: str) -> dict[str, Any]:
    # an SPDX identifier; the hub wants other licences as "other" with a name
    known = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*", licence)
    name: dict[str, Any] = {"license": licence.lower() if known else "unknown"}
    if licence and not known:
        name = {"license": "other", "license_name": licence}
    return name | {
        "library_name": "threetconv",
        "pipeline_tag": "video-classification",
        "tags": ["video-classification", f"{record['convolution']}conv", str(record["network"])],
        "datasets": [str(record["dataset"])],
        "metrics": ["accuracy"],
        "model-index": [
            {
                "name": str(record["run_id"]),
                "results": [
                    {
                        "task": {"type": "video-classification"},
                        "dataset": {
                            "type": str(record["dataset"]),
                            "name": str(record["dataset"]),
                            "split": str(split),
                        },
                        "metrics": [{"type": "accuracy", "value": float(line["accuracy"])}],
                    }
                    for split, line in results.iterrows()
                ],
            }
        ],
    }


def _what(record: Mapping[str, Any]) -> str:
    starts = {
        "pretrained": "its filters started from a 2D network's weights, trained on still images",
        "scratch": "it started from random weights",
    }
    start = starts.get(str(record["init"]), str(record["init"]))
    text = (
        f"`{record['network']}` for video, at {record['width_factor']:g} of the original channels; "
        f"{start}. Convolutions (`{record['convolution']}`): "
        f"{CONVOLUTIONS[record['convolution']].about}. "
        f"{record['n_parameters']:,} parameters"
        + (f", {record['n_temporal']:,} of them temporal." if record["n_temporal"] else ".")
    )
    if record.get("symmetric_time"):
        text += (
            " Windows in time are placed from both ends of a clip (`symmetric_time`), so only "
            "filters that change over time tell a clip from its reverse."
        )
    if record["source"] == "fetched":
        text += (
            f" **Not trained in this study:** fetched from `{record['fetched_from']}` (format "
            f"{record['fetched_format']}, SHA-256 `{record['fetched_sha256']}`). How it started is "
            "what the study says of it."
        )
    if record["control"] != "none":
        text += f" **A negative control:** {CONTROLS[record['control']].about}."
    return text


def _data(record: Mapping[str, Any], classes: list[str], synthetic: bool | None) -> str:
    kind = {True: "rendered, synthetic clips", False: "recorded video", None: "video clips"}
    counts = [f"{record['n_val']:,} validation clips"]
    if record["n_train"] is not None:
        counts.insert(0, f"{record['n_train']:,} training clips")
    if record.get("n_test"):
        counts.append(f"{record['n_test']:,} test clips")
    if record.get("n_bad_clips"):
        counts.append(f"{record['n_bad_clips']:,} clips that could not be read left out")
    shape = " x ".join(str(record[name]) for name in ("frames", "height", "width"))
    return (
        f"`{record['dataset']}`: {kind[synthetic]}; {', '.join(counts)}, {record['num_classes']} "
        f"classes, clips of {shape} (frames x height x width).\n\nClasses, in the order of the "
        "network's outputs: " + ", ".join(_code(name) for name in classes) + "."
    )


def _lines(results: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    for split, line in results.iterrows():
        yield str(split), f"{line['accuracy']:.4f}", f"{line['loss']:.4f}", f"{line['n']:,.0f}"


def _test(results: pd.DataFrame, source: str) -> str:
    if "test" not in results.index:
        return ""
    return " The split `test` was only measured" + (
        "." if source == "fetched" else "; nothing was chosen on it."
    )


def _settings(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    # fields that SETTINGS does not know yet are shown under their own names
    for name in [*SETTINGS, *(name for name in record if name not in SETTINGS)]:
        if name in record and name not in ELSEWHERE:
            value = record[name]
            if record["source"] == "fetched" and (value is None or name in NOT_FETCHED):
                value = "not known"
            yield SETTINGS.get(name, name.replace("_", " ")), _value(value)


def _value(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def _limits(record: Mapping[str, Any], synthetic: bool | None) -> Iterator[str]:
    yield (
        f"It gives scores for the {record['num_classes']} classes above and nothing else; on clips "
        "unlike those of its data set it was not measured."
    )
    if synthetic:
        yield "The clips are drawn by a program: the accuracy says nothing about recorded video."
    if record["control"] != "none":
        yield "It was trained as a control for a comparison, and not to classify clips as they are."
    yield (
        "It is one training run: another seed would give other weights. What is claimed about such "
        "networks should rest on several runs."
    )
    if record["source"] == "fetched" and record["sum_lr2"] is None:
        yield "Its updates and learning rates are not known, so it has no noise floor."


def _files(record: Mapping[str, Any], licence: str) -> Iterator[tuple[str, str]]:
    yield "SHA-256 of best.safetensors", _code(record["weights_sha256"])
    yield "licence", licence or "not stated"
    yield "commit of threetconv", _code(record["git_sha"])
    for name, version in json.loads(record["versions"]).items():
        yield name, str(version)


def _code(text: Any) -> str:
    # a backtick would end the code, a bar the table's cell
    return "`" + str(text).replace("`", "'").replace("|", "/") + "`"


def _table(heads: list[str], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
