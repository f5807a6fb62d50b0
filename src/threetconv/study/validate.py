"""A study: its configuration checked before anything runs, with every default filled in.

What can go wrong beyond the schema is in `threetconv.study.rules`; the runs that a study asks for
are in `threetconv.records.plan`. Everything works on plain dictionaries and loads in a moment; no
torch, no pandas.
"""

from __future__ import annotations

import copy
import functools
import math
import posixpath
from collections.abc import Mapping
from typing import Any

from threetconv.records.plan import Run, derive_seed, plan_runs
from threetconv.study.messages import explained
from threetconv.study.rules import RULES

__all__ = ["Run", "derive_seed", "plan_runs", "validate_study"]

Config = dict[str, Any]
EMBEDDED = "embedded"  # config.yaml


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
    schema = _written_out(schema, schema.get("$defs", {}))
    errors = sorted(
        _validator()(schema).iter_errors(complete),
        key=lambda e: (e.validator != "additionalProperties", list(map(str, e.absolute_path))),
    )
    if errors:
        raise explained(errors[0])
    _fill_defaults(complete, schema)
    _name_folders(complete)
    for check in RULES:
        check(complete)
    return complete


def _name_folders(config: Config) -> None:
    """Folders that carry the study's name; `EMBEDDED`, which came first, has the plain ones."""
    for kind in ("results", "reports"):
        default = kind if config["study"] == EMBEDDED else f"{kind}/{config['study']}"
        folder = config["output"].setdefault(kind, default)
        if folder.strip():
            config["output"][kind] = posixpath.normpath(folder)


def _is_integer(_checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_checker: Any, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@functools.cache
def _validator() -> Any:
    """The class that checks: to JSON schema 3.0 is an integer, and NaN a number above any bound."""
    import jsonschema  # a second to import where its format checks are installed

    return jsonschema.validators.extend(
        jsonschema.Draft202012Validator,
        type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
            {"integer": _is_integer, "number": _is_number}
        ),
    )


def _written_out(part: Any, shared: Mapping[str, Any]) -> Any:
    """A schema with what it refers to in place of the references; keys beside one come first."""
    if isinstance(part, list):
        return [_written_out(item, shared) for item in part]
    if not isinstance(part, Mapping):
        return part
    if "$ref" in part:
        part = {**shared[part["$ref"].rsplit("/", 1)[1]], **part}
    return {key: _written_out(item, shared) for key, item in part.items() if key != "$ref"}


def _fill_defaults(value: Any, schema: Mapping[str, Any]) -> None:
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for item in value:
            _fill_defaults(item, schema["items"])
    if not isinstance(value, dict):
        return
    for key, part in schema.get("properties", {}).items():
        if key not in value and part.get("default") is not None:
            value[key] = copy.deepcopy(part["default"])
        if key in value:
            _fill_defaults(value[key], part)
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        for part in value.values():
            _fill_defaults(part, extra)
