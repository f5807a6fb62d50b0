"""What the schema of studies refuses, in the house's words: found, allowed, what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from threetconv.errors import InputError, nearest
from threetconv.networks.registry import CATALOGUE, lift_remedy

if TYPE_CHECKING:
    import jsonschema

__all__ = ["explained"]

Schema = Mapping[str, Any]
_KINDS = {
    "object": "a mapping (key: value)", "array": "a list", "string": "text",
    "integer": "a whole number", "number": "a number",
}  # fmt: skip
_EXPONENT = re.compile(r"([+-]?\d+)(\.\d*)?[eE]([+-]?)(\d+)")


def explained(error: jsonschema.ValidationError) -> InputError:
    """The message for one error of the schema.

    Names the key, what stands there, what is allowed, and what to write instead; the schema's own
    `remedy` of a key, and its description, are added.
    """
    if error.validator == "oneOf" and error.context:
        # of the forms allowed, the one that was meant: of the right type, wrong further inside
        meant = max(error.context, key=lambda e: (len(e.absolute_path), e.validator != "type"))
        if meant.absolute_path != error.absolute_path or meant.validator != "type":
            return explained(meant)
    schema, value, kind = error.schema, error.instance, str(error.validator)
    if error.parent is not None and error.parent.validator == "oneOf":
        schema = {**error.parent.schema, **schema}  # the description stands above the forms
    place = ".".join(map(str, error.absolute_path)) or "the study"
    key = next((str(k) for k in reversed(error.absolute_path) if isinstance(k, str)), place)
    if kind == "additionalProperties":
        known = sorted(map(str, schema.get("properties", {})))
        key = sorted(str(k) for k in value if str(k) not in known)[0]
        found, expected = f"unknown key {key!r}", f"one of {', '.join(known)}"
        what, schema = nearest(key, known) or "remove the key", {}
    elif kind == "required":
        missing = [k for k in error.validator_value if k not in value]
        found, expected = f"no {', '.join(missing)}", f"the keys {', '.join(error.validator_value)}"
        key, what = missing[0], f"add {missing[0]}"
        if key == "study":  # as after `snakemake --config seed=3`
            what += "; --config changes a study that --configfile names: --configfile config.yaml"
        schema = {k: v for k, v in schema["properties"][key].items() if k != "default"}
    elif "propertyNames" in error.absolute_schema_path:
        found, expected = f"the name {value!r}", "names of letters, digits and _"
        what = f"rename {value!r} in {key}, in such characters"
    elif kind == "uniqueItems":
        twice = next(item for item in value if value.count(item) > 1)
        found, expected = f"{_shown(twice)} twice", "every entry once"
        what = f"remove one of the two from {key}"
    else:
        found, expected = _shown(value), _allowed(schema)
        what = _meant(value, schema) or f"give {key} {expected}"
        if "default" in schema:
            left_out = ", or leave the key out" if value is None else ""
            what += f"{left_out} (default: {schema['default']})"
    notes = [schema.get("remedy"), schema.get("description") and f"{key}: {schema['description']}"]
    remedy = " ".join([what, *(f"({note.rstrip('.')})" for note in notes if note)])
    return InputError(f"configuration: {place}", found=found, expected=expected, remedy=remedy)


def _shown(value: Any) -> str:
    """A value as it was read, with its kind where that may surprise; long ones are cut."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _allowed(schema: Schema) -> str:
    """The values that a schema allows, in words."""
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "oneOf" in schema:
        return " or ".join(map(_allowed, schema["oneOf"]))
    words = _KINDS[schema["type"]]
    if "pattern" in schema:
        words += f" of the form {schema['pattern']}"
    limits = {
        "minimum": "at least {}", "exclusiveMinimum": "above {}",
        "maximum": "at most {}", "exclusiveMaximum": "below {}",
    }  # fmt: skip
    bounds = [text.format(schema[name]) for name, text in limits.items() if name in schema]
    if bounds:
        words += " of " if bounds[0].startswith("at") else " "
        words += " and ".join(bounds)
    low, high = schema.get("minItems"), schema.get("maxItems")
    if low is not None:
        words += f" of {low} entries" if low == high else f" of at least {low} entries"
    if isinstance(items := schema.get("items"), Mapping):
        words += f", each {_allowed(items)}"
    if keys := schema.get("properties"):
        words += f" with keys among {', '.join(map(str, keys))}"
    elif schema["type"] == "object" and "minProperties" in schema:
        words += f" of at least {schema['minProperties']} entry"
    return words


def _meant(value: Any, schema: Schema) -> str:
    """What was probably meant: the nearest name, or a number that YAML has read as text; or ""."""
    if "enum" in schema:
        networks = set(schema["enum"]) == set(CATALOGUE)
        lifted = lift_remedy(str(value)) if networks else ""
        return lifted or nearest(str(value), [str(option) for option in schema["enum"]])
    kinds = {part.get("type") for part in (schema, *schema.get("oneOf", ()))}
    if not isinstance(value, str) or not kinds & {"integer", "number"}:
        return ""
    text = value.strip()
    if found := _EXPONENT.fullmatch(text):
        digits, fraction, sign, exponent = found.groups()
        fraction = fraction if fraction and len(fraction) > 1 else ".0"
        return f"YAML reads {text} as text: write {digits}{fraction}e{sign or '+'}{exponent}"
    number = text.replace(",", ".")
    if re.fullmatch(r"[+-]?\d+(\.\d+)?", number):
        return f"YAML has read it as text: write {number}, without quotes or comma"
    return ""
