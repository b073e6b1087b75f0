"""The types of parameters: text on the wire to values, and sentences that say what would have been right.

A query knows only text, so numbers and booleans come as text there; inside JSON they come as what they are.
Each class here goes into an annotation: `Annotated[int, WholeNumber(1, 100)]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, GetCoreSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema, from_json

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_TIME_PATTERN = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"

#: characters of the longest number that is read, one of 64 bits with its sign; anything longer is out of every range
_LONGEST_NUMBER = 20


def refuse(allowed: str) -> PydanticCustomError:
    """The error for a value that is not allowed; `allowed` goes on after "must be"."""
    return PydanticCustomError("not_allowed", "must be {allowed}", {"allowed": allowed})


def refuse_secret(allowed: str) -> PydanticCustomError:
    """As `refuse`, for a value that no message shows."""
    return PydanticCustomError("secret_not_allowed", "must be {allowed}", {"allowed": allowed})


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """A whole number from low to high, both included, as a JSON number or as decimal text."""

    low: int
    high: int

    def parse(self, value: object) -> int:
        """The number. Raises PydanticCustomError."""
        if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and re.fullmatch("-?[0-9]+", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise refuse(f"a whole number from {self.low} to {self.high}")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Text:
    """Text of so many bytes in UTF-8, at the most."""

    most_bytes: int

    def parse(self, value: object) -> str:
        """The text. Raises PydanticCustomError."""
        allowed = f"text of {self.most_bytes} bytes or less in UTF-8"
        if not isinstance(value, str):
            raise refuse(allowed)
        if (length := len(value.encode())) > self.most_bytes:
            raise refuse(f"{allowed} (it has {length})")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return {"type": "string", "maxLength": self.most_bytes}


@dataclass(frozen=True, slots=True)
class SecretText(Text):
    """Text that no message shows."""

    def parse(self, value: object) -> str:
        """The text. Raises PydanticCustomError."""
        try:
            return Text.parse(self, value)
        except PydanticCustomError:
            raise refuse_secret(f"text of {self.most_bytes} bytes or less in UTF-8") from None

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return Text.__get_pydantic_json_schema__(self, schema, handler) | {"format": "password"}


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object, as text in a query. Keys that its model knows and that hold nothing count as absent."""

    example: str

    def parse(self, value: object, known: frozenset[str]) -> dict[str, Any]:
        """The object. Raises PydanticCustomError."""
        allowed = f"a JSON object such as {self.example}"
        if isinstance(value, str):
            try:
                value = from_json(value, allow_inf_nan=False)
            except ValueError as error:
                raise refuse(f"{allowed} ({error})") from None
        if not isinstance(value, dict):
            raise refuse(allowed)
        if _has_nul(value):
            raise refuse(f"{allowed}, without NUL")
        return {key: item for key, item in value.items() if key not in known or item not in (None, "")}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        known = frozenset(_names(source))
        return core_schema.no_info_before_validator_function(
            lambda value: self.parse(value, known), handler(source)
        )


def _names(source: Any) -> list[str]:
    if isinstance(source, type) and issubclass(source, BaseModel):
        return [field.alias or name for name, field in source.model_fields.items()]
    return []


def _has_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any("\0" in key or _has_nul(item) for key, item in value.items())
        case list():
            return any(_has_nul(item) for item in value)
        case _:
            return False


def _parse_flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise refuse("true or false")


def _parse_time(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(_TIME_PATTERN, value):
        try:
            return datetime.fromisoformat(value[:-1]).replace(tzinfo=UTC)
        except ValueError:
            pass
    raise refuse("a time in UTC such as 2026-11-22T17:30:42Z")


def _time_text(value: datetime) -> str:
    return value.astimezone(UTC).strftime(TIME_FORMAT)


#: true or false, in any case
Flag = Annotated[bool, BeforeValidator(_parse_flag)]
#: a time in UTC, to the second
UtcTime = Annotated[
    datetime,
    BeforeValidator(_parse_time),
    PlainSerializer(_time_text, return_type=str),
    # RFC 3339 has more forms than IMS
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": _TIME_PATTERN}),
]
