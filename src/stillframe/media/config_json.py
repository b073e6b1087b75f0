"""The wire's spelling of a snapshot config: parse, merge, unknown keys, back to JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from stillframe.errors import ConfigError
from stillframe.media.config import RANGES, SnapshotConfig, SpriteSnapshotConfig, wire_name

_NESTED = "SpriteSnapshotConfig"
_FIELDS = {wire_name(item.name): item.name for item in fields(SnapshotConfig)}
_SPRITE_FIELDS = {wire_name(item.name): item.name for item in fields(SpriteSnapshotConfig)}

_MOST_DIGITS = 100

#: a key that, when given, takes the place of another one of the layer below
_REPLACES = {"Interval": "IntervalMs", "IntervalMs": "Interval"}


def parse(wire: Mapping[str, Any]) -> SnapshotConfig:
    """A config from the wire's JSON object. Unknown keys and wrong values raise ConfigError; null is absent.

    Numbers may come as decimal strings and booleans in any case, as SDKs and query strings send them.
    """
    values = _values(wire, _FIELDS, prefix="")
    if _NESTED in wire and wire[_NESTED] is not None:
        nested = wire[_NESTED]
        if not isinstance(nested, Mapping):
            raise ConfigError(_NESTED, nested, "an object")
        values["sprite_snapshot_config"] = SpriteSnapshotConfig(
            **_values(nested, _SPRITE_FIELDS, prefix=f"{_NESTED}.")
        )
    return SnapshotConfig(**values)


def merge(template: Mapping[str, Any], *overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The template with each layer of overrides laid over it, key by key; SpriteSnapshotConfig likewise.

    A null takes nothing away. An override of Interval drops the template's IntervalMs, and the other way
    round, since both say the same thing.
    """
    merged = dict(template)
    for layer in overrides:
        for key, value in layer.items():
            if value is None:
                continue
            if key in _REPLACES and layer.get(_REPLACES[key]) is None:
                merged.pop(_REPLACES[key], None)
            below = merged.get(key)
            if key == _NESTED and isinstance(value, Mapping) and isinstance(below, Mapping):
                merged[key] = merge(below, value)
            else:
                merged[key] = value
    return merged


def to_wire(config: SnapshotConfig) -> dict[str, Any]:
    """The config as the wire's JSON object: every key that has a value, so that it says all by itself."""
    wire: dict[str, Any] = {}
    for key, name in _FIELDS.items():
        value = getattr(config, name)
        if isinstance(value, SpriteSnapshotConfig):
            value = {
                inner: getattr(value, inner_name)
                for inner, inner_name in _SPRITE_FIELDS.items()
                if getattr(value, inner_name) is not None
            }
        if value is not None:
            wire[key] = value
    return wire


def _values(wire: Mapping[str, Any], known: Mapping[str, str], prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in wire.items():
        if key not in known:
            raise ConfigError(
                f"{prefix}{key}", value, f"left out: there is no such parameter{_hint(key, known)}"
            )
        if value is None or prefix + key == _NESTED:
            continue
        values[known[key]] = _typed(prefix + key, value)
    return values


def _typed(path: str, value: object) -> object:
    if path in RANGES and isinstance(value, str) and len(value) <= _MOST_DIGITS:
        text = value.strip()
        return int(text) if text.isascii() and text.isdigit() else value
    if path in RANGES and isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    if path == "IsSptFrag" and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def _hint(key: str, known: Mapping[str, str]) -> str:
    # only needed for an error, and slow to import
    import difflib

    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(str(key)[:64].lower(), lower, n=1)
    return f" (did you mean {lower[close[0]]}?)" if close else ""
