"""What follows from the model of a study's configuration: JSON schema and reference page."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from threetconv.study.config import Study
from threetconv.study.fields import Keys

__all__ = ["in_words", "reference_page", "resolved", "study_schema"]

Schema = Mapping[str, Any]
_KINDS = {
    "object": "a mapping (key: value)", "array": "a list", "string": "text",
    "integer": "a whole number", "number": "a number", "boolean": "true or false",
}  # fmt: skip
_LIMITS = {
    "minimum": "at least {}", "exclusiveMinimum": "above {}",
    "maximum": "at most {}", "exclusiveMaximum": "below {}",
}  # fmt: skip


class _Generator(GenerateJsonSchema):
    """JSON schema in which a key without a default may be left out, but is never null."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found, default = super().default_schema(schema), schema.get("default")
        if default is None:
            found.pop("default", None)
        elif isinstance(default, Keys):  # of a section's defaults, those that are told here
            found["default"] = default.model_dump(exclude_unset=True)
        return found

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        found = super().dict_schema(schema)
        for pattern, values in found.pop("patternProperties", {}).items():
            # other names are refused, which patternProperties alone would let through
            found |= {"propertyNames": {"pattern": pattern}, "additionalProperties": values}
        return found

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


@functools.cache
def study_schema() -> Schema:
    """The JSON schema of a study's configuration."""
    schema = Study.model_json_schema(schema_generator=_Generator)
    for part in schema["$defs"].values():
        del part["title"]
    dialect = {"$schema": _Generator.schema_dialect, "title": "A threetconv study"}
    return dialect | _in_one_line(schema) | dialect


def _in_one_line(part: Any) -> Any:
    """A part of the schema whose descriptions have no line breaks, as the source has them."""
    if isinstance(part, list):
        return [_in_one_line(item) for item in part]
    if not isinstance(part, dict):
        return part
    text = part.get("description")
    own = {"description": " ".join(text.split())} if isinstance(text, str) else {}
    return {key: _in_one_line(item) for key, item in part.items()} | own


def resolved(part: Schema) -> Schema:
    """A part of the schema with what it refers to in place of the reference; its own keys win."""
    name = part.get("$ref", "").rsplit("/", 1)[-1]
    return {**study_schema()["$defs"][name], **part} if name else part


def in_words(schema: Schema) -> str:
    """The values that a part of the schema allows."""
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if "oneOf" in schema:
        return " or ".join(in_words(resolved(form)) for form in schema["oneOf"])
    words = _KINDS[schema["type"]]
    if "pattern" in schema:
        words += f" of the form {schema['pattern']}"
    bounds = [text.format(schema[name]) for name, text in _LIMITS.items() if name in schema]
    if bounds:
        # "of at least 2", but "above 0"
        words += " of " if bounds[0].startswith("at") else " "
        words += " and ".join(bounds)
    low, high = schema.get("minItems"), schema.get("maxItems")
    if low is not None:
        words += f" of {low} entries" if low == high else f" of at least {low} entries"
    if "items" in schema:
        words += f", each {in_words(resolved(schema['items']))}"
    if keys := schema.get("properties"):
        words += f" with keys among {', '.join(map(str, keys))}"
    elif schema["type"] == "object" and "minProperties" in schema:
        words += f" of at least {schema['minProperties']} entry"
    return words


def reference_page() -> str:
    """docs/reference/config.md: a table for each section, a row for each key."""
    lines = [
        "# Configuration of a study",
        "",
        "Every key of a study's YAML file, such as `config.yaml` or those in `workflow/studies/`.",
        "A key without a default must be given, unless it is marked optional. Editors that know",
        "JSON schema complete and check keys with `workflow/schemas/config.schema.yaml`. Both are",
        "written by `make docs` from the model in `threetconv.study.config`.",
    ]
    for path, part in _sections("", study_schema()):
        lines += ["", f"## {path or 'The study'}", ""]
        if path and part.get("description"):
            lines += [part["description"], ""]
        lines += ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
        for key, value in part["properties"].items():
            target = resolved(value)
            default = "" if key in part.get("required", ()) else "optional"
            if "default" in target:
                known = target["default"]
                text = str(known).lower() if isinstance(known, bool) else known or repr(known)
                default = f"`{text}`"
            cells = f"`{key}`", _without_keys(target), default, target["description"]
            lines.append(f"| {' | '.join(cells)} |".replace("<", "&lt;"))
    return "\n".join(lines) + "\n"


def _without_keys(schema: Schema) -> str:
    """The values that are allowed; keys have a table of their own."""
    return in_words(schema).partition(" with keys among ")[0]


def _sections(path: str, part: Schema) -> Iterator[tuple[str, Schema]]:
    """Every mapping with keys of its own, at any depth, and where it stands."""
    part = resolved(part)
    if "properties" in part:
        yield path, part
        for key, value in part["properties"].items():
            yield from _sections(f"{path}.{key}".lstrip("."), value)
    elif isinstance(part.get("additionalProperties"), Mapping):
        yield from _sections(f"{path}.NAME", part["additionalProperties"])
    elif "items" in part:
        yield from _sections(f"{path}[]", part["items"])
    for form in part.get("oneOf", ()):
        yield from _sections(path, form)
