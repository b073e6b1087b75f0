"""A snapshot config as the fields of a form: their words and units, and what was written into them as a config.

form = ConfigForm.of(template.config)                    # to be shown: templates/config/_fields.html
form = ConfigForm.read(visit.form, base=template.config)
if form.config is not None:
    use(form.wire)                                       # on the wire's keys, as the API would have it

A field is called as its key on the wire is. Moments and distances are in seconds here, in milliseconds there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from stillframe.errors import ConfigError
from stillframe.media import config_json
from stillframe.media.config import RANGES, SnapshotConfig

_GRID = "SpriteSnapshotConfig"
_SECONDS = re.compile(r"(\d{1,12})(?:\.(\d{1,3}))?", re.ASCII)
#: fields in seconds, and the keys that they stand for: one in whole seconds, one in milliseconds
_IN_SECONDS: Mapping[str, tuple[str | None, str]] = {
    "Time": (None, "Time"),
    "Interval": ("Interval", "IntervalMs"),
}
#: what an error may be about, and where it is shown
_BESIDE = {
    "IntervalMs": "Interval",
    f"{_GRID}.CellWidth x CellHeight": f"{_GRID}.CellWidth",
    f"{_GRID}.Columns x Lines": f"{_GRID}.Columns",
}


@dataclass(frozen=True, slots=True)
class ConfigField:
    """One field. `when`: it counts for tracks alone, or where there are sheets. `empty` is what holds if it is."""

    name: str
    label: str
    hint: str = ""
    unit: str = ""
    empty: str = ""
    choices: Sequence[tuple[str, str]] | None = None
    when: Literal["always", "track", "grid"] = "always"

    @property
    def range(self) -> str:
        """What numbers are allowed, in words; of a field in seconds there is nothing to say."""
        if self.name not in RANGES or self.name in _IN_SECONDS:
            return ""
        low, high = RANGES[self.name]
        return f"{low:,} to {high:,}" if high is not None else f"{low:,} or more"

    @property
    def about(self) -> str:
        """The line below it."""
        return ". ".join(part for part in (self.range, self.hint) if part)

    def counts(self, type: str, is_spt_frag: str) -> bool:
        """Whether it means anything for pictures of that kind."""
        has_sheets = type == "Sprite" or (type == "WebVtt" and is_spt_frag == "true")
        return {"always": True, "track": type == "WebVtt", "grid": has_sheets}[self.when]


@dataclass(frozen=True, slots=True)
class ConfigGroup:
    """Fields that belong together; what few need `is_folded`."""

    title: str
    fields: Sequence[ConfigField]
    is_folded: bool = False


GROUPS = (
    ConfigGroup(
        "What is made",
        (
            ConfigField(
                "Type",
                "Type",
                choices=(("Normal", "Stills"), ("Sprite", "Sprite sheets"), ("WebVtt", "WebVTT track")),
            ),
            ConfigField(
                "IsSptFrag",
                "Pictures of the track",
                choices=(("false", "Each in a file"), ("true", "In sprite sheets")),
                when="track",
            ),
        ),
    ),
    ConfigGroup(
        "Moments",
        (
            ConfigField(
                "Count", "How many", "With no distance they are spread evenly", empty="as many as fit"
            ),
            ConfigField("Interval", "Distance", "Such as 10 or 2.5", "s", empty="spread evenly"),
            ConfigField("Time", "First moment", "", "s", empty="0"),
            ConfigField(
                "FrameType",
                "Frame",
                choices=(("intra", "Keyframe nearby"), ("normal", "Exact frame")),
            ),
            ConfigField(
                "KeyframeMiss",
                "Where no keyframe is near",
                choices=(
                    ("exact", "The exact frame"),
                    ("nearest", "The nearest keyframe"),
                    ("skip", "No picture"),
                ),
            ),
        ),
    ),
    ConfigGroup(
        "Picture",
        (
            ConfigField("Width", "Width", unit="px", empty="by the video"),
            ConfigField("Height", "Height", unit="px", empty="by the video"),
            ConfigField(
                "Fit",
                "Where the aspect changes",
                choices=(
                    ("stretch", "Stretch"),
                    ("contain", "Contain, with bars"),
                    ("cover", "Cover, cut off"),
                ),
            ),
            ConfigField("Quality", "JPEG quality", empty="85"),
            ConfigField(f"{_GRID}.Color", "Background", "A CSS colour name or #RRGGBB", empty="black"),
        ),
    ),
    ConfigGroup(
        "Sheet",
        (
            ConfigField(f"{_GRID}.Columns", "Columns", empty="10", when="grid"),
            ConfigField(f"{_GRID}.Lines", "Lines", empty="10", when="grid"),
            ConfigField(f"{_GRID}.CellWidth", "Cell width", "", "px", "as a picture", when="grid"),
            ConfigField(f"{_GRID}.CellHeight", "Cell height", "", "px", "as a picture", when="grid"),
            ConfigField(f"{_GRID}.Padding", "Padding", "Between two cells", "px", "0", when="grid"),
            ConfigField(f"{_GRID}.Margin", "Margin", "Around the sheet", "px", "0", when="grid"),
        ),
    ),
    ConfigGroup(
        "Black pictures",
        (
            ConfigField(
                "BlackLevel",
                "Black from",
                "Share of dark pixels that makes a picture black",
                "%",
                "not looked for",
            ),
            ConfigField(
                "PixelBlackThreshold", "Dark below", "Brightness of a pixel, 0 black to 255 white", empty="30"
            ),
            ConfigField(
                "BlackScope",
                "Replace when black",
                choices=(("first", "The first picture"), ("every", "Every picture")),
            ),
        ),
        is_folded=True,
    ),
    ConfigGroup(
        "Limits",
        (
            ConfigField("AllowMissing", "May be missing", "Of damaged videos, and still a success", "%", "0"),
            ConfigField(
                "MaxReadBytes", "Most to read", "Of the video, over the network", "bytes", "no limit"
            ),
        ),
        is_folded=True,
    ),
)
FIELDS: Mapping[str, ConfigField] = {field.name: field for group in GROUPS for field in group.fields}
LABELS = {name: field.label for name, field in FIELDS.items()}
_DEFAULTS = config_json.to_wire(SnapshotConfig())


@dataclass(frozen=True, slots=True)
class ConfigForm:
    """What stands in the fields, by their names; what is wrong with no field is under "".

    `config` is None where there are errors.
    """

    texts: Mapping[str, str]
    wire: Mapping[str, Any]
    config: SnapshotConfig | None
    errors: Mapping[str, str]

    @classmethod
    def of(cls, wire: Mapping[str, Any]) -> ConfigForm:
        """The form of a config, right or wrong."""
        config, errors = _parsed(wire)
        return cls({name: _text(wire, name) for name in FIELDS}, wire, config, errors)

    @classmethod
    def read(
        cls, form: Mapping[str, str], *, base: Mapping[str, Any] | None = None, type: str | None = None
    ) -> ConfigForm:
        """What somebody has sent. What does not count for its type stays as it was in `base`, where they began.

        A `type` that is given holds, whatever was sent. A choice that is as it would be anyhow is left out, unless
        `base` has it.
        """
        base = base or {}
        texts = {name: form.get(name, "").strip()[:200] for name in FIELDS}
        texts["Type"] = type or texts["Type"] or "Normal"
        wire: dict[str, Any] = {}
        unread: dict[str, str] = {}
        for name, field in FIELDS.items():
            if not field.counts(texts["Type"], texts["IsSptFrag"]):
                _copy(name, base, wire)
            elif name in _IN_SECONDS:
                if (flaw := _put_seconds(wire, name, texts[name])) is not None:
                    unread[name] = flaw
            elif name == "Type" or texts[name] not in ("", _default(field)) or _get(base, name) is not None:
                _put(wire, name, _value(name, texts[name]))
        config, errors = _parsed(wire)
        return cls(texts, wire, None if unread else config, errors | unread)


def told(error: ConfigError) -> str:
    """What is wrong with a field, to stand beside it."""
    value = error.value if isinstance(error.value, str | int | float) else ""
    shown = f"{str(value)[:60]} is not right. " if str(value) else ""
    return f"{shown}It must be {error.allowed}."


def field_of(path: str) -> str:
    """The name of the field that an error is shown beside; nothing where there is none."""
    name = _BESIDE.get(path, path)
    return name if name in FIELDS else ""


def _parsed(wire: Mapping[str, Any]) -> tuple[SnapshotConfig | None, dict[str, str]]:
    """The config, or all that is wrong with it: one after the other is left out until the rest is right."""
    errors: dict[str, str] = {}
    left = {key: dict(value) if isinstance(value, Mapping) else value for key, value in wire.items()}
    while True:
        try:
            config = config_json.parse(left)
        except ConfigError as error:
            name = field_of(error.path)
            errors[name] = told(error) if name else f"{error}."
            if not _drop(left, error.path):
                return None, errors
        else:
            return (None if errors else config), errors


def _text(wire: Mapping[str, Any], name: str) -> str:
    if name in _IN_SECONDS:
        whole, thousandths = _IN_SECONDS[name]
        if whole is not None and _get(wire, whole) is not None:
            return _plain(_get(wire, whole))
        text = _plain(_get(wire, thousandths))
        return f"{int(text) / 1000:.3f}".rstrip("0").rstrip(".") if _is_number(text) else text
    field, text = FIELDS[name], _plain(_get(wire, name))
    text = text.lower() if name == "IsSptFrag" else text
    return text or _default(field)


def _plain(value: object) -> str:
    """A value as it stands in a field: numbers may have come as text, or as 5.0."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _default(field: ConfigField) -> str:
    """What a choice is if nothing is said; fields to write into may be empty."""
    return "" if field.choices is None else _plain(_DEFAULTS[field.name])


def _value(name: str, text: str) -> str | int | bool:
    if name in RANGES and _is_number(text):
        return int(text)
    return text == "true" if name == "IsSptFrag" else text


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20


def _put_seconds(wire: dict[str, Any], name: str, text: str) -> str | None:
    """What is wrong with the text, if anything is."""
    if not text:
        return None
    found = _SECONDS.fullmatch(text)
    if found is None:
        wire[name] = text
        return f"{text[:60]} is not right. It must be seconds such as 12 or 2.5, to the thousandth."
    whole, thousandths = _IN_SECONDS[name]
    milliseconds = int(found[1]) * 1000 + int((found[2] or "").ljust(3, "0"))
    if whole is not None and milliseconds % 1000 == 0:
        wire[whole] = milliseconds // 1000
    else:
        wire[thousandths] = milliseconds
    return None


def _get(wire: Mapping[str, Any], name: str) -> Any:
    group, _, key = name.rpartition(".")
    below = wire.get(group) if group else wire
    return below.get(key) if isinstance(below, Mapping) else None


def _put(wire: dict[str, Any], name: str, value: object) -> None:
    group, _, key = name.rpartition(".")
    if value != "":
        (wire.setdefault(group, {}) if group else wire)[key] = value


def _copy(name: str, base: Mapping[str, Any], wire: dict[str, Any]) -> None:
    value = _get(base, name)
    if value is not None:
        _put(wire, name, value)


def _drop(wire: dict[str, Any], path: str) -> bool:
    """Leave out what an error is about; whether there was anything."""
    group, _, key = path.rpartition(".")
    below = wire.get(group) if group else wire
    return isinstance(below, dict) and below.pop(key, None) is not None
