"""The configuration of a study is refused before any job starts, and told why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from threetconv.errors import InputError
from threetconv.networks.registry import CATALOGUE
from threetconv.records.plan import plan_runs
from threetconv.study.validate import validate_study

from ..builders.small_study import PRETRAINED, SCRATCH, Config, drop, put, study

ROOT = Path(__file__).parents[2]
STUDIES = [ROOT / "config.yaml", *sorted((ROOT / "workflow/studies").glob("*.yaml"))]


def test_the_example_is_valid() -> None:
    validate_study(study())


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.name)
def test_the_shipped_studies_are_valid(path: Path) -> None:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    runs = plan_runs(validate_study(config))
    assert len(runs) > 1
    assert len({run.run_id for run in runs}) == len(runs)
    assert len({run.seed for run in runs}) == len(runs)


WRONG: dict[str, tuple[str, Any, str, str, str]] = {
    # case: (path, value, in where, in expected or found, in remedy)
    "unknown key": ("replicats", 3, "the study", "unknown key 'replicats'", "'replicates'"),
    "unknown key below": ("training.epoch", 3, "training", "unknown key 'epoch'", "'epochs'"),
    "unknown key in a list": ("variants.0.initial", 1, "variants.0", "'initial'", "'init'"),
    "unknown key in a data set": ("datasets.mine.roots", "x", "datasets.mine", "roots", "'root'"),
    "unknown key in a clip": ("datasets.mine.clip.frame", 3, "datasets.mine.clip", "'frame'", ""),
    "unknown key in render": ("datasets.made.render.clip", 3, "made.render", "'clip'", "'clips'"),
    "unlike any known key": ("zzzzzz", 3, "the study", "zzzzzz", "remove the key"),
    "unknown network": ("networks", ["resnet19"], "networks.0", "googlenet", "'resnet18'"),
    "no network": ("networks", [], "networks", "at least 1", "resnet18"),
    "a network of torchvision's": (
        "networks",
        ["resnet50"],
        "networks.0",
        "one of resnet18, googlenet",
        "threetconv.lift",
    ),
    "few simulated studies": (
        "statistics.calibration_replicates",
        10,
        "statistics.calibration_replicates",
        "at least 20",
        "give calibration_replicates a whole number of at least 20 (default: 400)",
    ),
    "a class with two opposites": (
        "datasets.mine.opposites",
        [["a", "b"], ["b", "c"]],
        "datasets.mine.opposites",
        "'b'",
        "pair",
    ),
    "an opposite that is no gesture": (
        "datasets.made.opposites",
        [["Swiping Left", "Swiping Rigth"]],
        "datasets.made.opposites",
        "Swiping Rigth",
        "'Swiping Right'",
    ),
    "three opposites": (
        "datasets.mine.opposites",
        [["a", "b", "c"]],
        "mine.opposites.0",
        "a list of 2 entries",
        "",
    ),
    "nothing for a number": ("replicates", None, "replicates", "nothing", "leave the key out"),
    "a comma for a point": ("width", "0,25", "width", "a number", "write 0.25"),
    "no folder for reports": ("output.reports", "", "output.reports", "''", "reports/s"),
    "blanks for a folder": ("output.reports", " ", "output.reports", "' '", "leave reports out"),
    "this folder": ("output.results", "./", "output.results", "'.'", "results/s"),
    "a folder above": ("output.results", "a/../..", "output.results", "'..'", "results/s"),
    "the root": ("output.results", "/", "output.results", "'/'", "results/s"),
    "wildcards for a folder": ("output.results", "a{b}", "output.results", "braces", "name a"),
    "a NUL in a folder": ("output.reports", "a\0b", "output.reports", "characters", "name a"),
    "the name of a folder": ("study", "Runs", "study", "embedded study writes", "my_Runs"),
    "unknown adapter": ("datasets.mine.adapter", "ucf", "mine.adapter", "jester", "'ucf101'"),
    "unknown init": ("variants.0.init", "random", "variants.0.init", "scratch", ""),
    "unknown schedule": (
        "training.schedule",
        "cosin",
        "training.schedule",
        "one-cycle",
        "'cosine'",
    ),
    "half precision on a CPU": (
        "training.precision",
        "bfloat16",
        "training.precision",
        "float32",
        "float32",
    ),
    "micro-batches of one": ("training.micro_batch", 1, "training.micro_batch", "at least 2", ""),
    "offsets of packed clips": (
        "datasets.mine.sampling",
        "random-offset",
        "mine.sampling",
        "packed",
        "streamed",
    ),
    "mirrored gestures": (
        "datasets.made.augment",
        {"horizontal_flip": 0.5},
        "made.augment.horizontal_flip",
        "left and right",
        "remove",
    ),
    "unknown augmentation": (
        "datasets.mine.augment",
        {"horizontal_flips": 0.5},
        "mine.augment",
        "horizontal_flip",
        "'horizontal_flip'",
    ),
    "a bad clip's policy": ("datasets.mine.on_bad_clip", "ignore", "on_bad_clip", "skip", ""),
    "checkpoint of an unknown set": (
        "variants.0.checkpoints",
        [{"network": "resnet18", "dataset": "mime", "source": "file:a.pt"}],
        "checkpoints",
        "'mime'",
        "'mine'",
    ),
    "checkpoint of a replicate too many": (
        "variants.0.checkpoints",
        [{"network": "resnet18", "dataset": "mine", "replicate": 4, "source": "file:a.pt"}],
        "checkpoints",
        "replicate 4",
        "replicates",
    ),
    "checkpoint from afar without a hash": (
        "variants.0.checkpoints",
        [{"network": "resnet18", "dataset": "mine", "source": "https://example.org/a.pt"}],
        "https://example.org/a.pt",
        "without a SHA-256",
        "add sha256",
    ),
    "a hash that is none": (
        "variants.0.checkpoints",
        [{"network": "resnet18", "dataset": "mine", "source": "file:a.pt", "sha256": "abc"}],
        "checkpoints.0.sha256",
        "abc",
        "",
    ),
    "two checkpoints for a run": (
        "variants.0.checkpoints",
        2 * [{"network": "resnet18", "dataset": "mine", "source": "file:a.pt"}],
        "checkpoints",
        "two checkpoints",
        "replicate",
    ),
    "unknown source": ("weights_2d.source", "still", "weights_2d.source", "imagenet", "'stills'"),
    "string for a number": ("replicates", "three", "replicates", "whole number", ""),
    "YAML's 1e-3 is a string": (
        "training.learning_rate.3t",
        "1e-3",
        "learning_rate.3t",
        "number",
        "YAML reads 1e-3 as text: write 1.0e-3",
    ),
    "fraction for a count": ("training.epochs", 2.5, "training.epochs", "whole number", ""),
    "float for a count": ("training.epochs", 2.0, "training.epochs", "whole number", ""),
    "yes for a count": ("replicates", True, "replicates", "whole number", ""),
    "NaN": ("width", float("nan"), "width", "number", ""),
    "infinite": ("training.learning_rate.3t", float("inf"), "learning_rate.3t", "number", ""),
    "list for a mapping": ("training", [], "training", "mapping", ""),
    "zero epochs": ("training.epochs", 0, "training.epochs", "at least 1", ""),
    "no learning rate": ("training.learning_rate.3t", 0, "learning_rate.3t", "above 0", ""),
    "wider than the paper": ("width", 1.5, "width", "at most 1", ""),
    "batch of one": ("training.batch_size", 1, "training.batch_size", "at least 2", ""),
    "batch of one for a network": (
        "training.batch_size",
        {"resnet18": 1},
        "batch_size.resnet18",
        "at least 2",
        "",
    ),
    "batch size in words": ("training.batch_size", "small", "training.batch_size", "", ""),
    "a class count too large": (
        "datasets.made.render.classes",
        102,
        "render.classes",
        "at most 101",
        "",
    ),
    "name with a slash": ("study", "my/study", "study", "", "report"),
    "data set with a dash": (
        "datasets",
        {"a-b": study()["datasets"]["mine"]},
        "datasets",
        "a-b",
        "",
    ),
    "data set named by a number": (
        "datasets",
        {2024: study()["datasets"]["mine"]},
        "datasets",
        "2024",
        "",
    ),
    "tiny frames": ("datasets.mine.clip.height", 8, "mine.clip.height", "at least 16", ""),
    "one clip": ("datasets.made.render.clips.val", 1, "render.clips.val", "at least 2", ""),
    "kernel deeper than the clip": (
        "datasets.mine.clip.frames",
        6,
        "datasets.mine.clip.frames",
        "kernel of depth 7 in resnet18",
        "7 or more",
    ),
    "root and render": (
        "datasets.made.root",
        "videos",
        "datasets.made",
        "both root and render",
        "one of the two",
    ),
    "rendered in another layout": (
        "datasets.made.adapter",
        "ucf101",
        "datasets.made.adapter",
        "jester, the layout",
        "jester",
    ),
    "longest before shortest": (
        "datasets.made.render.frames",
        [9, 8],
        "render.frames",
        "[9, 8]",
        "swap",
    ),
    "unknown gesture": (
        "datasets.made.render.classes",
        ["Swiping Left", "Swiping Rigt"],
        "render.classes",
        "Swiping Rigt",
        "'Swiping Right'",
    ),
    "count for gestures": ("datasets.made.render.classes", 5, "render.classes", "5", "other form"),
    "contrast of an unknown set": (
        "statistics.dataset_contrast",
        ["mine", "mode"],
        "dataset_contrast",
        "'mode'",
        "'made'",
    ),
    "contrast of one": ("statistics.dataset_contrast", ["mine"], "dataset_contrast", "", ""),
    "contrast with itself": (
        "statistics.dataset_contrast",
        ["mine", "mine"],
        "dataset_contrast",
        "",
        "",
    ),
    "no rate for a convolution": (
        "training.learning_rate",
        {"3d": 0.1},
        "learning_rate",
        "no rate for 3t",
        "add 3t",
    ),
    "no batch size for a network": (
        "training.batch_size",
        {"googlenet": 4},
        "batch_size",
        "no batch size for resnet18",
        "add resnet18",
    ),
    "alpha": ("statistics.alpha", 0.7, "statistics.alpha", "below 0.5", ""),
    "twice the same variant": (
        "variants",
        2 * [{"init": "scratch", "convolution": "3t"}],
        "variants",
        "",
        "",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said(case: str) -> None:
    path, value, where, said, remedy = WRONG[case]
    with pytest.raises(InputError) as caught:
        validate_study(put(study(), path, value))
    error = caught.value
    assert where in error.where
    assert said in error.found + "\n" + error.expected
    assert remedy in error.remedy
    assert error.remedy
    assert "\n" not in error.found


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("study", "study"),
        ("training", "training"),
        ("training.learning_rate", "learning_rate"),
        ("datasets.mine.clip.frames", "frames"),
        ("variants.0.init", "init"),
        ("datasets.made.render.set", "set"),
    ],
)
def test_a_missing_key_is_named(path: str, missing: str) -> None:
    with pytest.raises(InputError) as caught:
        validate_study(drop(study(), path))
    assert caught.value.found == f"no {missing}"
    assert caught.value.remedy.startswith(f"add {missing}")


def test_the_study_is_named_first_and_its_remedy_thinks_of_config() -> None:
    """`snakemake --config seed=3` gives this one key, which is no study."""
    with pytest.raises(InputError, match="no study, networks") as caught:
        validate_study({"seed": 3})
    assert "--configfile config.yaml" in caught.value.remedy


@pytest.mark.parametrize(
    ("given", "results"),
    [
        ({}, "results/s"),
        ({"results": "out/"}, "out"),
        ({"results": "../out//a"}, "../out/a"),
        ({"results": "/data/out"}, "/data/out"),
        ({"results": "my results"}, "my results"),
    ],
)
def test_folders_carry_the_name_of_the_study(given: Config, results: str) -> None:
    output = validate_study(study(output=given))["output"]
    assert output == {"results": results, "reports": "reports/s"}


def test_the_embedded_study_has_the_plain_folders() -> None:
    output = validate_study(study(study="embedded"))["output"]
    assert output == {"results": "results", "reports": "reports"}


def test_a_data_set_needs_root_or_render() -> None:
    with pytest.raises(InputError, match="neither root nor render"):
        validate_study(drop(study(), "datasets.mine.root"))


def test_class_names_are_for_gestures_and_counts_for_scenes() -> None:
    scenes = put(study(), "datasets.made.adapter", "ucf101")
    scenes = put(scenes, "datasets.made.render.set", "scenes")
    validate_study(put(scenes, "datasets.made.render.classes", 5))
    with pytest.raises(InputError, match="other form"):
        validate_study(put(scenes, "datasets.made.render.classes", ["a", "b"]))


def test_imagenet_weights_fit_full_networks_only() -> None:
    thin = study(width=0.25, weights_2d={"source": "imagenet"})
    with pytest.raises(InputError, match="width 1"):
        validate_study(thin)
    validate_study(thin | {"width": 1})
    scratch = [{"init": "scratch", "convolution": "3t"}]
    validate_study(thin | {"variants": scratch})


def test_the_unknown_key_is_named_before_what_it_leaves_out() -> None:
    """`epoch: 3` is a slip of the pen, not a missing `epochs`."""
    config = put(drop(study(), "training.epochs"), "training.epoch", 3)
    for changed in (config, drop(config, "networks")):
        with pytest.raises(InputError, match="did you mean 'epochs'"):
            validate_study(changed)


def test_every_clip_length_is_checked_for_every_network() -> None:
    for name, facts in CATALOGUE.items():
        config = study(networks=[name])
        validate_study(put(config, "datasets.mine.clip.frames", facts.depth))
        with pytest.raises(InputError, match=f"depth {facts.depth} in {name}"):
            validate_study(put(config, "datasets.made.clip.frames", facts.depth - 1))


def test_a_study_without_a_3t_variant_has_no_question() -> None:
    config = study(variants=[{"init": "pretrained", "convolution": "3d"}])
    with pytest.raises(InputError, match="at least one variant with convolution: 3t"):
        validate_study(config)


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        ([PRETRAINED | {"networks": ["googlenet"]}], "not among the study's networks"),
        ([PRETRAINED, PRETRAINED | {"networks": ["resnet18"]}], "asked for by two variants"),
        ([PRETRAINED, PRETRAINED | {"control": "none"}], "non-unique|two variants"),
        ([PRETRAINED, SCRATCH | {"control": "static"}], "a static control of resnet18, scratch"),
        ([PRETRAINED, PRETRAINED | {"control": "shuffled"}], "frame-shuffled"),
    ],
)
def test_variants_that_make_no_sense_are_refused(variants: list[Config], said: str) -> None:
    with pytest.raises(InputError, match=said):
        validate_study(study(variants=variants))


def planted(**render: Any) -> Config:
    config = put(study(), "datasets.made.adapter", "folder")
    made = {"set": "planted", "clips": {"train": 4, "val": 2}} | render
    return put(config, "datasets.made.render", made)


def test_a_planted_set_names_its_motion() -> None:
    validate_study(planted(motion="zoom"))
    for config, said in (
        (planted(), "a motion for set: planted"),
        (planted(motion="wobble"), "translation"),
        (planted(motion="zoom", classes=3), "decides what the classes are"),
        (put(planted(motion="zoom"), "datasets.made.adapter", "jester"), "planted is rendered in"),
        (put(study(), "datasets.made.render.motion", "zoom"), "for no other set"),
    ):
        with pytest.raises(InputError, match=said):
            validate_study(config)
