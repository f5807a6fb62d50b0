"""The schema of studies: every key described, defaults filled in, nothing unknown let through."""

from __future__ import annotations

from collections.abc import Iterator

from threetconv.study import validate_study

from .small_study import Config, put, study


def test_defaults_are_filled_in(study_schema: Config) -> None:
    before = study()
    config = validate_study(before, study_schema)
    assert before == study()
    assert config["replicates"] == 3
    assert config["width"] == 1.0
    assert config["output"] == {"results": "results", "reports": "reports"}
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
        "energy_rows": 1000,
        "bootstrap_resamples": 1000,
        "calibration_replicates": 400,
    }


def test_what_was_written_is_kept(study_schema: Config) -> None:
    config = validate_study(
        put(study(width=0.5), "weights_2d.stills.images", {"train": 5, "val": 6}), study_schema
    )
    assert config["width"] == 0.5
    assert config["weights_2d"]["stills"]["images"] == {"train": 5, "val": 6}


def test_a_complete_study_stays_as_it_is_and_shares_nothing(study_schema: Config) -> None:
    once = validate_study(study(), study_schema)
    assert validate_study(once, study_schema) == once
    once["output"]["results"] = "elsewhere"
    once["datasets"]["made"]["render"]["size"][0] = 1000
    assert validate_study(study(), study_schema)["output"]["results"] == "results"
    again = validate_study(study(), study_schema)
    assert again["datasets"]["made"]["render"]["size"] == [64, 64]


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


def test_every_property_is_described(study_schema: Config) -> None:
    found = list(parts(study_schema, study_schema))
    assert len(found) > 40
    for path, part, target in found:
        assert part.get("description") or target.get("description"), path


def test_every_mapping_refuses_unknown_keys(study_schema: Config) -> None:
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

    check(study_schema, "schema")


def test_every_default_is_itself_valid(study_schema: Config) -> None:
    """Written out in full, the defaults pass the schema."""
    validate_study(validate_study(study(), study_schema), study_schema)
