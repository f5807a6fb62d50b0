"""A study: its configuration checked before anything runs, with every default filled in.

What can go wrong beyond the schema is in `threetconv.study_rules`; the runs that a study asks for
are in `threetconv.plan`. Everything works on plain dictionaries and loads in a moment; no torch, no
pandas.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from threetconv.catalogue import lift_remedy
from threetconv.errors import InputError, nearest
from threetconv.plan import Run, derive_seed, plan_runs
from threetconv.study_rules import RULES

if TYPE_CHECKING:
    import jsonschema

__all__ = ["Run", "derive_seed", "plan_runs", "validate_study"]

Config = dict[str, Any]


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
        _validator()(schema).iter_errors(complete),
        key=lambda e: (e.validator != "additionalProperties", list(map(str, e.absolute_path))),
    )
    if errors:
        raise _explain(errors[0])
    _fill_defaults(complete, schema, schema)
    for check in RULES:
        check(complete)
    return complete


def _is_integer(_checker: Any, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_checker: Any, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@functools.cache
def _validator() -> Any:
    """The class that checks: to JSON schema 3.0 is an integer, and NaN a number above any bound."""
    import jsonschema  # noqa: PLC0415 (a second to import where its format checks are installed)

    return jsonschema.validators.extend(
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
        network = {"network", "networks"} & set(error.absolute_path)
        remedy = (
            (lift_remedy(str(error.instance)) if network else "")
            or nearest(str(error.instance), allowed)
            or remedy
        )
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
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for item in value:
            _fill_defaults(item, schema["items"], root)
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
