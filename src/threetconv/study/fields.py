"""Parts of the configuration's model: sections, choices, lists without duplicates, forms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    field_validator,
)
from pydantic_core import PydanticCustomError, core_schema

__all__ = ["AMOUNT", "FORM", "Keys", "OneOf", "Unique"]


class Keys(BaseModel):
    """A mapping of the configuration: no unknown keys, no value of another type, no null.

    A key's description is the text below it.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        # None as a default means that a key may be left out; a key without a value is a mistake
        if value is None:
            raise PydanticCustomError("null", "nothing")
        return value


class OneOf:
    """A text that is one of `names`."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)

    def __get_pydantic_core_schema__(self, *_: Any) -> core_schema.CoreSchema:
        return core_schema.literal_schema(self.names)


class Unique:
    """A list without duplicates."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_each_once, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "uniqueItems": True}


def _each_once(value: Any) -> Any:
    # `count` and not a set: entries may be mappings, which have no hash
    if isinstance(value, list) and any(value.count(item) > 1 for item in value):
        raise PydanticCustomError("twice", "an entry stands twice")
    return value


def _form(value: Any) -> str:
    if isinstance(value, dict):
        return "<object>"
    if isinstance(value, list):
        return "<array>"
    return "<integer>"


def _amount(value: Any) -> str:
    # a mapping as it is read, or the section that it has become
    return "<object>" if isinstance(value, dict | BaseModel) else "<number>"


FORM = Discriminator(_form)
"""Discriminator of values that may be a whole number, a list or a mapping. The tag of a form is its
type in JSON schema, in angle brackets."""
AMOUNT = Discriminator(_amount)
"""Discriminator of values that may be a number or a mapping."""
