"""What a study's values must obey together, which a schema cannot say.

Each rule takes the complete configuration and raises InputError at the first thing wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from threetconv.data.synthetic.gesture_names import GESTURES
from threetconv.errors import InputError, nearest
from threetconv.networks.registry import CATALOGUE
from threetconv.records.plan import Run, plan_runs
from threetconv.study.choices import CHOICES
from threetconv.study.folder import FOLDERS
from threetconv.support.download import check_source

__all__ = ["RULES"]

Config = dict[str, Any]


def _datasets(config: Config) -> Iterator[tuple[str, Config]]:
    yield from config["datasets"].items()


def check_output(config: Config) -> None:
    """Folders that can be named in files' paths, and a study's name that no folder has already."""
    # folded: some file systems take Runs and runs for one folder
    if config["study"].casefold() in FOLDERS:
        raise InputError(
            "configuration: study",
            found=f"{config['study']}, the name of a folder that the embedded study writes",
            expected=f"another name than {', '.join(sorted(FOLDERS))}",
            remedy=f"call it my_{config['study']}, for example",
        )
    # these folders end up in Snakemake's paths, which are patterns
    for kind, folder in config["output"].items():
        if PurePath(folder).name in ("", ".", ".."):
            wrong = "no folder of its own"
        elif folder != folder.strip() or not folder.isprintable():
            wrong = "spaces at an end, or characters that cannot be printed"
        elif set(folder) & set("{}"):
            wrong = "braces, which Snakemake reads as wildcards"
        else:
            continue
        raise InputError(
            f"configuration: output.{kind}",
            found=f"{folder!r}: {wrong}",
            expected=f"the name of a folder for the study's {kind}, relative or absolute",
            remedy=f"leave {kind} out (it then is {kind}/{config['study']}), or name a folder",
        )


def check_clips(config: Config) -> None:
    for name, dataset in _datasets(config):
        for network in config["networks"]:
            depth, frames = CATALOGUE[network].depth, dataset["clip"]["frames"]
            if frames < depth:
                raise InputError(
                    f"configuration: datasets.{name}.clip.frames",
                    found=f"{frames} frames, and a kernel of depth {depth} in {network}",
                    expected=f"at least {depth} frames: no kernel may be deeper than the clip",
                    remedy=f"set frames to {depth} or more",
                )


def check_render(config: Config) -> None:
    for name, dataset in _datasets(config):
        where, render = f"configuration: datasets.{name}", dataset.get("render")
        # exactly one of the two
        if (render is None) == ("root" not in dataset):
            raise InputError(
                where,
                found="both root and render" if render else "neither root nor render",
                expected="root (the folder of your data set) or render (to make a synthetic one)",
                remedy="keep one of the two",
            )
        if render is None:
            continue
        # rendered sets are written in the layout of the data set that they imitate
        layout = {"gestures": "jester", "scenes": "ucf101", "planted": "folder"}[render["set"]]
        if dataset["adapter"] != layout:
            raise InputError(
                f"{where}.adapter",
                found=dataset["adapter"],
                expected=f"{layout}, the layout that {render['set']} is rendered in",
                remedy=f"set adapter to {layout}",
            )
        _check_planted(where, render)
        if render["frames"][0] > render["frames"][1]:
            raise InputError(
                f"{where}.render.frames",
                found=str(render["frames"]),
                expected="[shortest, longest]",
                remedy="swap the two",
            )
        # one key, two forms: gestures have names, scenes are made to a number
        classes = render.get("classes")
        if classes is not None and isinstance(classes, int) != (render["set"] == "scenes"):
            raise InputError(
                f"{where}.render.classes",
                found=repr(classes),
                expected="a number of classes for scenes, a list of class names for gestures",
                remedy="write it in the other form",
            )
        if isinstance(classes, list):
            for label in classes:
                if label not in GESTURES:
                    raise InputError(
                        f"{where}.render.classes",
                        found=f"unknown gesture {label!r}",
                        expected=f"some of {', '.join(GESTURES)}",
                        remedy=nearest(label, list(GESTURES)) or "use Jester's own class names",
                    )


def _check_planted(where: str, render: Config) -> None:
    planted = render["set"] == "planted"
    if planted != ("motion" in render):
        raise InputError(
            f"{where}.render.motion",
            found="none for a planted set" if planted else f"one for {render['set']}",
            expected="a motion for set: planted, and for no other set",
            remedy="name the motion in which classes differ" if planted else "remove motion",
        )
    for key in ("classes", "variety"):
        if planted and key in render:
            raise InputError(
                f"{where}.render.{key}",
                found=repr(render[key]),
                expected="nothing: the planted motion decides what the classes are",
                remedy=f"remove {key}",
            )


def check_opposites(config: Config) -> None:
    """Every class has one opposite, and those that are known beforehand exist."""
    for name, dataset in _datasets(config):
        pairs = dataset.get("opposites", [])
        labels = [label for pair in pairs for label in pair]
        where = f"configuration: datasets.{name}.opposites"
        for label in labels:
            if labels.count(label) > 1:
                raise InputError(
                    where,
                    found=f"{label!r} in two pairs",
                    expected="every class in one pair at most",
                    remedy="keep the pair whose classes are each other played backwards",
                )
        known = (dataset.get("render") or dataset["options"]).get("classes")
        if dataset.get("render", {}).get("set") == "gestures":
            known = known or list(GESTURES)
        for label in labels if isinstance(known, list) else []:
            if label not in known:
                raise InputError(
                    where,
                    found=f"unknown class {label!r}",
                    expected=f"some of {', '.join(known)}",
                    remedy=nearest(label, known) or "name classes of the data set",
                )


def check_variants(config: Config) -> None:
    variants = config["variants"]
    for variant in variants:
        for network in variant.get("networks", []):
            if network not in config["networks"]:
                raise InputError(
                    "configuration: variants",
                    found=f"a variant for {network!r}, which is not among the study's networks",
                    expected=f"some of {', '.join(config['networks'])}",
                    remedy=f"add {network} to networks, or take it out of the variant",
                )
    runs = [run.run_id for run in plan_runs(config)]
    # variants that differ only in their networks or checkpoints may ask for one run twice
    if len(set(runs)) < len(runs):
        twice = next(run_id for run_id in runs if runs.count(run_id) > 1)
        raise InputError(
            "configuration: variants",
            found=f"run {twice} asked for by two variants",
            expected="every variant once for each network",
            remedy="remove one of the two variants",
        )
    # a control says something only beside the real run of the same cell
    real = {_cell(run) for run in plan_runs(config) if run.control == "none"}
    for run in plan_runs(config):
        if _cell(run) not in real:
            raise InputError(
                "configuration: variants",
                found=f"a {run.control} control of {run.network}, {run.init}, {run.convolution}",
                expected="the variant that it is a control of, for the same network",
                remedy=f"add {{init: {run.init}, convolution: {run.convolution}"
                + (f", recipe: {run.recipe}}}" if run.recipe != "paper" else "}"),
            )
    if not any(v["convolution"] == "3t" and _is_real(v) for v in variants):
        raise InputError(
            "configuration: variants",
            found="no 3T network, and others have no temporal parameters",
            expected="at least one variant with convolution: 3t",
            remedy="add {init: pretrained, convolution: 3t} or {init: scratch, convolution: 3t}",
        )


def _is_real(variant: Mapping[str, Any]) -> bool:
    return bool(variant.get("control", "none") == "none")


def _cell(run: Run) -> tuple[str, str, str, str]:
    return run.network, run.init, run.convolution, run.recipe


def check_recipes(config: Config) -> None:
    recipes = config["recipes"]
    # names end up in run ids, beside those of controls
    for name in recipes:
        if name == "paper" or name in CHOICES["controls"]:
            raise InputError(
                f"configuration: recipes.{name}",
                found="a name that has a meaning already",
                expected=f"another name than paper, {', '.join(CHOICES['controls'])}",
                remedy="call it by what it does, such as fast-transforms",
            )
    for variant in config["variants"]:
        name = variant["recipe"]
        if name != "paper" and name not in recipes:
            raise InputError(
                "configuration: variants",
                found=f"unknown recipe {name!r}",
                expected=f"one of {', '.join(['paper', *recipes])}",
                remedy=nearest(name, ["paper", *recipes]) or "add it under recipes",
            )
        if name != "paper" and variant["convolution"] != "3t":
            raise InputError(
                "configuration: variants",
                found=f"recipe {name} for convolution {variant['convolution']}",
                expected="a recipe for 3t networks: others have no temporal parameters",
                remedy="leave recipe out of the variant",
            )


def check_training(config: Config) -> None:
    training = config["training"]
    for variant in config["variants"]:
        if variant["convolution"] not in training["learning_rate"]:
            raise InputError(
                "configuration: training.learning_rate",
                found=f"no rate for {variant['convolution']}",
                expected="a learning rate for every convolution among the variants",
                remedy=f"add {variant['convolution']}",
            )
    if training["precision"] != "float32" and training["device"] != "cuda":
        raise InputError(
            "configuration: training.precision",
            found=f"{training['precision']} with device: {training['device']}",
            expected="float32 on a CPU, where torch's 16-bit convolutions can be wrong",
            remedy="set precision to float32, or device to cuda",
        )
    sizes = training["batch_size"]
    if isinstance(sizes, dict):
        for network in config["networks"]:
            if network not in sizes:
                raise InputError(
                    "configuration: training.batch_size",
                    found=f"no batch size for {network}",
                    expected="a number, or one number for every network",
                    remedy=f"add {network}",
                )
    pretrained = any(variant["init"] == "pretrained" for variant in config["variants"])
    if pretrained and config["weights_2d"]["source"] == "imagenet" and config["width"] != 1:
        raise InputError(
            "configuration: width",
            found=f"{config['width']} with weights_2d.source: imagenet",
            expected="width 1: ImageNet weights exist for the full networks only",
            remedy="set width to 1, or weights_2d.source to stills",
        )


def check_drawing(config: Config) -> None:
    """What is drawn anew in every epoch needs clips that are decoded anew and may be changed so."""
    for name, dataset in _datasets(config):
        # packed clips hold the frames that were chosen once
        if dataset["sampling"] != "even" and dataset["store"] == "packed":
            raise InputError(
                f"configuration: datasets.{name}.sampling",
                found=f"{dataset['sampling']} with store: packed, which keeps one choice of frames",
                expected="store: streamed",
                remedy="set store to streamed, or sampling to even",
            )
        # a mirrored "Swiping Left" is a "Swiping Right" with the wrong label
        if dataset["augment"].get("horizontal_flip") and dataset["adapter"] == "jester":
            raise InputError(
                f"configuration: datasets.{name}.augment.horizontal_flip",
                found="mirror images of Jester's clips, which swap left and right gestures",
                expected="no mirror images where classes tell left from right",
                remedy="remove horizontal_flip",
            )


def check_checkpoints(config: Config) -> None:
    """Checkpoints name runs that the study has, each once."""
    named: set[tuple[str, str, str, str, str, int]] = set()
    for variant in config["variants"]:
        networks = variant.get("networks", config["networks"])
        for entry in variant["checkpoints"]:
            where = "configuration: variants.checkpoints"
            for key, allowed in (("network", networks), ("dataset", list(config["datasets"]))):
                if entry[key] not in allowed:
                    raise InputError(
                        where,
                        found=f"{key} {entry[key]!r}",
                        expected=f"one of the variant's: {', '.join(allowed)}",
                        remedy=nearest(entry[key], allowed) or "name a run of this variant",
                    )
            if entry["replicate"] > config["replicates"]:
                raise InputError(
                    where,
                    found=f"replicate {entry['replicate']}",
                    expected=f"1 to {config['replicates']}, the study's replicates",
                    remedy="raise replicates, or number the checkpoints from 1",
                )
            check_source(entry["source"], entry.get("sha256"))
            cell = tuple(variant[key] for key in ("init", "convolution", "recipe", "control"))
            run = (entry["network"], entry["dataset"], *cell, entry["replicate"])
            if run in named:
                raise InputError(
                    where,
                    found=f"two checkpoints for {'-'.join(map(str, run))}",
                    expected="one file for each run",
                    remedy="give each its own replicate",
                )
            named.add(run)


def check_contrast(config: Config) -> None:
    for name in config["statistics"].get("dataset_contrast", []):
        if name not in config["datasets"]:
            raise InputError(
                "configuration: statistics.dataset_contrast",
                found=f"unknown data set {name!r}",
                expected=f"two of {', '.join(config['datasets'])}",
                remedy=nearest(name, list(config["datasets"]))
                or "name two of the study's data sets",
            )


RULES: tuple[Callable[[Config], None], ...] = (
    check_output,
    check_clips,
    check_render,
    check_opposites,
    check_recipes,
    check_variants,
    check_training,
    check_drawing,
    check_checkpoints,
    check_contrast,
)
