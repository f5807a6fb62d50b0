"""A study: its configuration checked before anything runs, and the training runs it asks for.

Everything here works on plain dictionaries and loads in a moment; no torch, no pandas.
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import jsonschema

from threetconv.catalogue import CATALOGUE
from threetconv.errors import InputError, nearest

__all__ = ["Run", "derive_seed", "plan_runs", "validate_study"]

Config = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """One training run of the design: one cell, one replicate, one seed."""

    run_id: str
    network: str
    dataset: str
    init: str
    convolution: str
    control: str
    replicate: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)


def plan_runs(config: Mapping[str, Any]) -> list[Run]:
    """Every run that a validated study asks for, in a fixed order."""
    runs = []
    for network in config["networks"]:
        for dataset in config["datasets"]:
            for variant in config["variants"]:
                for replicate in range(1, config["replicates"] + 1):
                    cell = (network, dataset, variant["init"], variant["convolution"])
                    run_id = "-".join((*cell, f"r{replicate}"))
                    runs.append(
                        Run(run_id, *cell, "none", replicate, derive_seed(config["seed"], run_id))
                    )
    return runs


def derive_seed(seed: int, name: str) -> int:
    """A seed of its own for everything that has a name, 0 <= seed < 2**31.

    Runs of different cells share no random numbers, so they are independent given the data and the
    2D weights; adding a cell to a study changes no other cell.
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def validate_study(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Config:
    """The configuration with every default filled in.

    Args:
        config: what the user wrote.
        schema: the JSON schema of a study.

    Raises:
        InputError: at the first thing wrong: an unknown key (with the nearest known one), a wrong
            type, a value out of range, or values that cannot go together.
    """
    complete: Config = copy.deepcopy(dict(config))
    errors = sorted(
        _Validator(schema).iter_errors(complete),
        key=lambda e: (e.validator != "additionalProperties", list(map(str, e.absolute_path))),
    )
    if errors:
        raise _explain(errors[0])
    _fill_defaults(complete, schema, schema)
    for check in (_check_clips, _check_render, _check_training, _check_contrast):
        check(complete)
    return complete


def _is_integer(_checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_checker: Any, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# JSON schema takes 3.0 for an integer, and NaN for a number above any bound
_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    ),
)


def _explain(error: jsonschema.ValidationError) -> InputError:
    """A schema error in the house's words."""
    if error.validator == "oneOf" and error.context:
        # of the forms allowed, the one that was meant: of the right type, wrong further inside
        meant = max(error.context, key=lambda e: (len(e.absolute_path), e.validator != "type"))
        if meant.absolute_path != error.absolute_path or meant.validator != "type":
            return _explain(meant)
    place = ".".join(map(str, error.absolute_path)) or "the study"
    where, schema, found = f"configuration: {place}", error.schema, repr(error.instance)
    expected = error.message
    remedy = str(schema.get("description", "")) or "see workflow/schemas/config.schema.yaml"
    if error.validator == "additionalProperties":
        known = sorted(map(str, schema.get("properties", {})))
        unknown = sorted(str(key) for key in error.instance if str(key) not in known)[0]
        return InputError(
            where,
            found=f"unknown key {unknown!r}",
            expected=f"one of {', '.join(known)}",
            remedy=nearest(unknown, known) or "remove the key",
        )
    if error.validator == "enum":
        allowed = [str(value) for value in error.validator_value]
        expected = f"one of {', '.join(allowed)}"
        remedy = nearest(str(error.instance), allowed) or remedy
    elif error.validator == "type":
        expected = f"a value of type {error.validator_value}"
    elif error.validator == "required":
        missing = [k for k in error.validator_value if k not in error.instance]
        found, expected = f"no {', '.join(missing)}", f"the keys {', '.join(error.validator_value)}"
        remedy = f"add {missing[0]}"
    elif error.validator in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        sign = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
        expected = f"a value {sign[str(error.validator)]} {error.validator_value}"
    return InputError(where, found=found, expected=expected, remedy=remedy)


def _fill_defaults(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> None:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if not isinstance(value, dict):
        return
    for key, part in schema.get("properties", {}).items():
        target = root["$defs"][part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part
        default = part.get("default", target.get("default"))
        if key not in value and default is not None:
            value[key] = copy.deepcopy(default)
        if key in value:
            _fill_defaults(value[key], part, root)
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        for part in value.values():
            _fill_defaults(part, extra, root)


def _datasets(config: Config) -> Iterator[tuple[str, Config]]:
    yield from config["datasets"].items()


def _check_clips(config: Config) -> None:
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


def _check_render(config: Config) -> None:
    for name, dataset in _datasets(config):
        where, render = f"configuration: datasets.{name}", dataset.get("render")
        if (render is None) == ("root" not in dataset):
            raise InputError(
                where,
                found="both root and render" if render else "neither root nor render",
                expected="root (the folder of your data set) or render (to make a synthetic one)",
                remedy="keep one of the two",
            )
        if render is None:
            continue
        layout = {"gestures": "jester", "scenes": "ucf101"}[render["set"]]
        if dataset["adapter"] != layout:
            raise InputError(
                f"{where}.adapter",
                found=dataset["adapter"],
                expected=f"{layout}, the layout that {render['set']} is rendered in",
                remedy=f"set adapter to {layout}",
            )
        if render["frames"][0] > render["frames"][1]:
            raise InputError(
                f"{where}.render.frames",
                found=str(render["frames"]),
                expected="[shortest, longest]",
                remedy="swap the two",
            )
        classes = render.get("classes")
        if classes is not None and isinstance(classes, int) != (render["set"] == "scenes"):
            raise InputError(
                f"{where}.render.classes",
                found=repr(classes),
                expected="a number of classes for scenes, a list of class names for gestures",
                remedy="write it in the other form",
            )
        if isinstance(classes, list):
            from threetconv.data.synthetic.motions import GESTURES  # noqa: PLC0415 (numpy)

            for label in classes:
                if label not in GESTURES:
                    raise InputError(
                        f"{where}.render.classes",
                        found=f"unknown gesture {label!r}",
                        expected=f"some of {', '.join(GESTURES)}",
                        remedy=nearest(label, list(GESTURES)) or "use Jester's own class names",
                    )


def _check_training(config: Config) -> None:
    training = config["training"]
    if not any(variant["convolution"] == "3t" for variant in config["variants"]):
        raise InputError(
            "configuration: variants",
            found="3D networks only, which have no temporal parameters",
            expected="at least one variant with convolution: 3t",
            remedy="add {init: pretrained, convolution: 3t} or {init: scratch, convolution: 3t}",
        )
    for variant in config["variants"]:
        if variant["convolution"] not in training["learning_rate"]:
            raise InputError(
                "configuration: training.learning_rate",
                found=f"no rate for {variant['convolution']}",
                expected="a learning rate for every convolution among the variants",
                remedy=f"add {variant['convolution']}",
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


def _check_contrast(config: Config) -> None:
    for name in config["statistics"].get("dataset_contrast", []):
        if name not in config["datasets"]:
            raise InputError(
                "configuration: statistics.dataset_contrast",
                found=f"unknown data set {name!r}",
                expected=f"two of {', '.join(config['datasets'])}",
                remedy=nearest(name, list(config["datasets"]))
                or "name two of the study's data sets",
            )
