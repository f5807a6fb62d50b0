"""The schema of studies: every key described, defaults filled in, nothing unknown let through."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from threetconv.errors import InputError
from threetconv.study.reference import study_schema
from threetconv.study.validate import validate_study

from ..builders.small_study import Config, put, study


def test_defaults_are_filled_in() -> None:
    before = study()
    config = validate_study(before)
    assert before == study()
    assert config["replicates"] == 3
    assert config["width"] == 1.0
    assert config["output"] == {"results": "results/s", "reports": "reports/s"}
    assert config["training"]["schedule"] == "constant"
    assert config["training"]["auxiliary_weight"] == 0.3
    assert config["datasets"]["mine"]["store"] == "packed"
    assert "stands_for" not in config["datasets"]["mine"]
    assert config["datasets"]["made"]["render"]["frames"] == [20, 28]
    assert config["datasets"]["made"]["render"]["size"] == [64, 64]
    assert "render" not in config["datasets"]["mine"]
    assert config["weights_2d"]["carry"] == "convolutions"
    assert config["weights_2d"]["stills"]["images"] == {"train": 2400, "val": 320}
    assert config["weights_2d"]["stills"]["size"] == [64, 64]
    assert config["variants"][0]["control"] == "none"
    assert config["statistics"] == {
        "alpha": 0.05,
        "equivalence_ratio": 1.25,
        "energy_rows": 10_000,
        "bootstrap_resamples": 1000,
        "calibration_replicates": 400,
    }


def test_what_was_written_is_kept() -> None:
    config = validate_study(
        put(study(width=0.5), "weights_2d.stills.images", {"train": 5, "val": 6})
    )
    assert config["width"] == 0.5
    assert config["weights_2d"]["stills"]["images"] == {"train": 5, "val": 6}


def test_a_complete_study_stays_as_it_is_and_shares_nothing() -> None:
    once = validate_study(study())
    assert validate_study(once) == once
    once["output"]["results"] = "elsewhere"
    once["datasets"]["made"]["render"]["size"][0] = 1000
    assert validate_study(study())["output"]["results"] == "results/s"
    again = validate_study(study())
    assert again["datasets"]["made"]["render"]["size"] == [64, 64]


def test_the_files_that_follow_from_the_model_are_as_it_says() -> None:
    generator = Path(__file__).parents[2] / "workflow/schemas/generate.py"
    for file, text in runpy.run_path(str(generator))["generated"]().items():
        assert file.read_text(encoding="utf-8") == text, f"{file}: run `make docs`"


def test_reading_a_study_loads_no_numbers() -> None:
    """The host that plans a study has Snakemake and what it brings, pydantic among it."""
    code = (
        "import sys, threetconv.study.validate;"
        "print(*{'numpy', 'pandas', 'torch', 'pyarrow', 'jsonschema'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def parts(schema: Config, root: Config, path: str = "") -> Iterator[tuple[str, Config, Config]]:
    """(path, property as written, what it refers to) of every property, at any depth."""
    schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    for name, part in schema.get("properties", {}).items():
        target = root["$defs"][part["$ref"].rsplit("/", 1)[1]] if "$ref" in part else part
        yield f"{path}{name}", part, target
        yield from parts(part, root, f"{path}{name}.")
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), dict):
            yield from parts(schema[key], root, f"{path}*.")


def test_every_property_is_described() -> None:
    found = list(parts(study_schema(), study_schema()))
    assert len(found) > 40
    for path, part, target in found:
        assert part.get("description") or target.get("description"), path


def test_every_mapping_refuses_unknown_keys() -> None:
    def check(schema: Config, path: str) -> None:
        if schema.get("type") == "object" and "properties" in schema:
            assert schema.get("additionalProperties") is False, path
        for key, value in schema.items():
            if isinstance(value, dict):
                check(value, f"{path}.{key}")
            elif isinstance(value, list):
                for item in value:
                    if isinstance(item, dict):
                        check(item, f"{path}.{key}")

    check(study_schema(), "schema")


def test_every_default_is_itself_valid() -> None:
    """Written out in full, the defaults pass the schema."""
    validate_study(validate_study(study()))


def full() -> Config:
    """A study in which every part of the schema is there to be made wrong."""
    config = put(study(output={}), "datasets.made.augment", {})
    config = put(config, "variants.0.checkpoints", [])
    entry = {"network": "resnet18", "dataset": "mine", "source": "file:a.pt"}
    config = put(config, "variants.0.checkpoints", [entry])
    config = put(config, "weights_2d", {"stills": {"images": {"train": 4, "val": 2}}})
    return config | {"explanations": {"channels": {}}, "statistics": {}}


def wrong_values(schema: Config) -> Iterator[object]:
    """Values of another type, beyond each limit, and of no allowed form."""
    if "enum" in schema:
        yield from ("no such choice", 17, None)
    for part in schema.get("oneOf", []):
        yield from (value for value in wrong_values(part) if isinstance(value, int | list))
    kind = schema.get("type")
    if kind:
        yield from ({"string": 17}.get(kind, "1e-3"), None)
        yield {"array": "text", "object": []}.get(kind, ["list"])
    for name, step in {
        "minimum": -1,
        "maximum": 1,
        "exclusiveMinimum": 0,
        "exclusiveMaximum": 0,
    }.items():
        if name in schema:
            yield schema[name] + step
    if schema.get("minItems"):
        yield []
    if schema.get("pattern"):
        yield "no/such {form}"


def test_every_wrong_value_of_every_key_is_explained() -> None:
    """Where it is, what was found, what is allowed, and what to do: more than a description."""
    tried = set()
    for path, part, target in parts(study_schema(), study_schema()):
        place = path.replace("datasets.*", "datasets.made").replace("*", "0")
        if place.startswith("datasets.made.root"):
            place = place.replace("made", "mine")
        for value in wrong_values(target):
            with pytest.raises(InputError) as caught:
                validate_study(put(full(), place, value))
            error, key = caught.value, place.rsplit(".", 1)[1] if "." in place else place
            assert place in error.where, (place, value)
            shown = "nothing" if value is None else repr(value)
            assert shown in error.found, (place, value, error)
            assert len(error.expected) > 3, (place, value)
            told, _, described = error.remedy.partition(f" ({key}: ")
            assert described or not part.get("description"), (place, value, error)
            assert told.startswith(("give", "did you mean", "YAML", "rename")), (place, error)
            for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
                if name in target:
                    assert f"{target[name]}" in error.expected, (place, value, error)
            tried.add(place)
    assert len(tried) > 70
