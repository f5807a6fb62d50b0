"""Messages for what the model of a study refuses: found, allowed, what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from threetconv.errors import InputError, nearest
from threetconv.networks.registry import CATALOGUE, lift_remedy
from threetconv.study.reference import in_words, resolved, study_schema

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["explained"]

Schema = Mapping[str, Any]
_EXPONENT = re.compile(r"([+-]?\d+)(\.\d*)?[eE]([+-]?)(\d+)")


class _Mistake(NamedTuple):
    """One of pydantic's errors.

    Attributes:
        kind: "unknown", "missing" (a key), "name" (of a data set), "twice"; any other kind is a
            wrong value.
        place: keys and indices of the value at fault, or of the mapping whose key is at fault.
        key: unknown or missing; otherwise the last one of `place`.
        value: what stands there.
        schema: what is allowed at `place`.
    """

    kind: str
    place: tuple[str, ...]
    key: str
    value: Any
    schema: Schema


def explained(error: ValidationError) -> InputError:
    """The message for the first mistake; unknown keys come before what is missing for them.

    Names the key, what stands there, what is allowed, and what to write instead; the schema's own
    `remedy` of a key, and its description, are added.
    """
    mistakes = [_mistake(details) for details in error.errors(include_url=False)]
    first = min(mistakes, key=lambda m: (m.kind != "unknown", m.place, _order(m)))
    kind, _, key, value, schema = first
    place = ".".join(first.place) or "the study"
    if kind == "unknown":
        known = sorted(schema.get("properties", {}))
        found, expected = f"unknown key {key!r}", f"one of {', '.join(known)}"
        what, schema = nearest(key, known) or "remove the key", {}
    elif kind == "missing":
        missing = [m.key for m in mistakes if m.kind == kind and m.place == first.place]
        found, expected = f"no {', '.join(missing)}", f"the keys {', '.join(schema['required'])}"
        what = f"add {key}"
        if key == "study":  # as after `snakemake --config seed=3`
            what += "; --config changes a study that --configfile names: --configfile config.yaml"
        schema = resolved(schema["properties"][key])
    elif kind == "name":
        found, expected = f"the name {value!r}", "names of letters, digits and _"
        what, schema = f"rename {value!r} in {key}, in such characters", {}
    elif kind == "twice":
        twice = next(item for item in value if value.count(item) > 1)
        found, expected = f"{_shown(twice)} twice", "every entry once"
        what = f"remove one of the two from {key}"
    else:
        found, expected = _shown(value), in_words(schema)
        what = _meant(value, schema) or f"give {key or place} {expected}"
        if "default" in schema:
            left_out = ", or leave the key out" if value is None else ""
            what += f"{left_out} (default: {schema['default']})"
    notes = [schema.get("remedy"), schema.get("description") and f"{key}: {schema['description']}"]
    remedy = " ".join([what, *(f"({note.rstrip('.')})" for note in notes if note)])
    return InputError(f"configuration: {place}", found=found, expected=expected, remedy=remedy)


def _order(mistake: _Mistake) -> str:
    """Sort key: unknown keys in alphabetical order, other mistakes in the order of pydantic."""
    return mistake.key if mistake.kind == "unknown" else ""


def _mistake(details: ErrorDetails) -> _Mistake:
    kind, loc, key = details["type"], list(details["loc"]), ""
    if kind in ("extra_forbidden", "invalid_key", "missing"):
        kind, key = "missing" if kind == "missing" else "unknown", str(loc.pop())
    elif loc and loc[-1] == "[key]":
        kind, loc = "name", loc[:-2]
    schema = study_schema()
    place: list[str] = []
    for step in loc:
        # pydantic's location names the form of the value here, which is no key of the study
        if "oneOf" in schema:
            if step == loc[-1] and kind.endswith("_type"):
                break  # of none of the forms: all of them are told
            form = next(form for form in schema["oneOf"] if form["type"] == str(step).strip("<>"))
            schema = {"description": schema["description"], **form}
            continue
        if "items" in schema:
            schema = resolved(schema["items"])
        else:
            keys = schema.get("properties", {})
            schema = resolved(keys[step] if step in keys else schema["additionalProperties"])
            key = key if kind in ("unknown", "missing") else str(step)
        place.append(str(step))
    return _Mistake(kind, tuple(place), key, details["input"], schema)


def _shown(value: Any) -> str:
    """A value as it was read, with its kind where that may surprise; long ones are cut."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


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
    # YAML 1.1 reads 1e-3 as text; it wants a point and a sign, 1.0e-3
    if found := _EXPONENT.fullmatch(text):
        digits, fraction, sign, exponent = found.groups()
        fraction = fraction if fraction and len(fraction) > 1 else ".0"
        return f"YAML reads {text} as text: write {digits}{fraction}e{sign or '+'}{exponent}"
    number = text.replace(",", ".")
    if re.fullmatch(r"[+-]?\d+(\.\d+)?", number):
        return f"YAML has read it as text: write {number}, without quotes or comma"
    return ""
