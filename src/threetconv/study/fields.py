"""What the configuration of a study is made of: its kinds of values and the class of its sections.

Limits that stand here are shared by several keys; those of one key stand beside it, in
`threetconv.study.config`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
    field_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from threetconv.networks.registry import CATALOGUE
from threetconv.study import choices

__all__ = [
    "BatchSizes",
    "Convolution",
    "Frames",
    "Init",
    "Names",
    "Network",
    "Networks",
    "OneOf",
    "RenderedClasses",
    "Section",
    "Size",
    "Unique",
    "section",
]


@dataclass(frozen=True)
class OneOf:
    """A value out of these; `remedy` is added to what is said of another one."""

    names: Sequence[str]
    remedy: str = ""

    def __get_pydantic_core_schema__(self, *_: Any) -> core_schema.CoreSchema:
        return core_schema.literal_schema(list(self.names))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), **({"remedy": self.remedy} if self.remedy else {})}


class Unique:
    """A list in which nothing stands twice."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_each_once, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "uniqueItems": True}


def _each_once(value: Any) -> Any:
    if isinstance(value, list) and any(value.count(item) > 1 for item in value):
        raise PydanticCustomError("twice", "an entry stands twice")
    return value


Network = Annotated[
    str,
    OneOf(
        tuple(CATALOGUE),
        "a study knows only these; other networks are lifted in your own code, with "
        "threetconv.lift",
    ),
]
Networks = Annotated[list[Network], Field(min_length=1), Unique()]
Names = Annotated[list[str], Field(min_length=2), Unique()]
Init = Annotated[str, OneOf(("pretrained", "scratch"))]
Convolution = Annotated[str, OneOf(choices.CONVOLUTIONS)]
Frames = Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=2, max_length=2)]
Size = Annotated[list[Annotated[int, Field(ge=16)]], Field(min_length=2, max_length=2)]
BatchSize = Annotated[int, Field(ge=2)]
BatchSizes = Annotated[
    Annotated[BatchSize, Tag("<integer>")] | Annotated[dict[str, BatchSize], Tag("<object>")],
    Discriminator(lambda value: "<object>" if isinstance(value, dict) else "<integer>"),
]
RenderedClasses = Annotated[
    Annotated[int, Field(ge=2, le=101), Tag("<integer>")] | Annotated[Names, Tag("<array>")],
    Discriminator(lambda value: "<array>" if isinstance(value, list) else "<integer>"),
]


class Section(BaseModel):
    """A mapping of the configuration: no unknown keys, no value of another type, no null."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        if value is None:
            raise PydanticCustomError("null", "nothing")
        return value


def section(model: type[Section], description: str) -> Any:
    """A section that may be left out, all of whose keys then have their defaults."""
    return Field(default_factory=model, description=description, json_schema_extra={"default": {}})
