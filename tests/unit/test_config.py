"""What a config may hold: the table of ranges and defaults, typed out here once more by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from PIL import ImageColor

from stillframe.errors import ConfigError, NotSupported
from stillframe.media.config import (
    CSS_COLOURS,
    RANGES,
    SnapshotConfig,
    SpriteSnapshotConfig,
    rgb_of,
    wire_name,
)

#: (the parameter, the field, its least and its greatest value; None is no upper end)
NUMBERS = [
    ("Count", "count", 1, 20_000),
    ("Interval", "interval", 0, None),
    ("IntervalMs", "interval_ms", 0, None),
    ("Time", "time", 0, None),
    ("Width", "width", 8, 4096),
    ("Height", "height", 8, 4096),
    ("BlackLevel", "black_level", 30, 100),
    ("PixelBlackThreshold", "pixel_black_threshold", 0, 255),
    ("Quality", "quality", 1, 100),
    ("AllowMissing", "allow_missing", 0, 100),
    ("MaxReadBytes", "max_read_bytes", 1, None),
    ("SpriteSnapshotConfig.CellWidth", "cell_width", 8, 4096),
    ("SpriteSnapshotConfig.CellHeight", "cell_height", 8, 4096),
    ("SpriteSnapshotConfig.Padding", "padding", 0, 1000),
    ("SpriteSnapshotConfig.Margin", "margin", 0, 1000),
    ("SpriteSnapshotConfig.Columns", "columns", 1, 10_000),
    ("SpriteSnapshotConfig.Lines", "lines", 1, 10_000),
]
CHOICES = [
    ("Type", "type", ["Normal", "Sprite", "WebVtt"]),
    ("FrameType", "frame_type", ["intra", "normal"]),
    ("KeyframeMiss", "keyframe_miss", ["exact", "nearest", "skip"]),
    ("Fit", "fit", ["stretch", "contain", "cover"]),
    ("BlackScope", "black_scope", ["first", "every"]),
]
#: numbers that are always there, so that None is no value for them
NEVER_ABSENT = {"time", "pixel_black_threshold", "quality", "allow_missing"} | {
    "padding",
    "margin",
    "columns",
    "lines",
}


def make(path: str, field: str, value: Any) -> SnapshotConfig | SpriteSnapshotConfig:
    return (SpriteSnapshotConfig if "." in path else SnapshotConfig)(**{field: value})


def test_the_table_here_has_every_number() -> None:
    assert {path for path, *_ in NUMBERS} == set(RANGES)


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        pytest.param(path, field, value, id=f"{path}={value}")
        for path, field, low, high in NUMBERS
        for value in (low, low + 1, high if high is not None else 10**12)
    ],
)
def test_both_ends_of_a_range_are_allowed(path: str, field: str, value: int) -> None:
    assert getattr(make(path, field, value), field) == value


@pytest.mark.parametrize(
    ("path", "field", "value", "allowed"),
    [
        pytest.param(
            path, field, value, f"{low} to {high}" if high else f"{low} or more", id=f"{path}={value}"
        )
        for path, field, low, high in NUMBERS
        for value in ([low - 1] if high is None else [low - 1, high + 1])
    ],
)
def test_one_beyond_an_end_is_refused(path: str, field: str, value: int, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(path, field, value)

    assert (caught.value.path, caught.value.value) == (path, value)
    assert allowed in caught.value.allowed


@pytest.mark.parametrize(
    ("path", "field", "low"), [row[:3] for row in NUMBERS if row[3] is None], ids=lambda value: str(value)
)
def test_what_not_every_reader_of_json_can_read_is_refused_with_the_largest_that_they_can(
    path: str, field: str, low: int
) -> None:
    assert getattr(make(path, field, 2**53 - 1), field) == 2**53 - 1
    with pytest.raises(ConfigError) as caught:
        make(path, field, 2**53)

    assert caught.value.allowed == f"a whole number from {low} to 9007199254740991"


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        pytest.param(path, field, value, id=f"{path}={value!r}")
        for path, field, low, _ in NUMBERS
        for value in (True, float(low + 1), str(low + 1), [low + 1])
    ],
)
def test_what_is_no_whole_number_is_refused(path: str, field: str, value: object) -> None:
    with pytest.raises(ConfigError, match="whole number") as caught:
        make(path, field, value)

    assert caught.value.path == path


@pytest.mark.parametrize(
    ("path", "field"), [pytest.param(path, field, id=path) for path, field, *_ in NUMBERS]
)
def test_only_numbers_without_a_default_may_be_none(path: str, field: str) -> None:
    if field in NEVER_ABSENT:
        with pytest.raises(ConfigError):
            make(path, field, None)
    else:
        assert getattr(make(path, field, None), field) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(field, value, id=f"{path}={value}")
        for path, field, choices in CHOICES
        for value in choices
    ],
)
def test_every_choice_is_allowed(field: str, value: Any) -> None:
    assert getattr(SnapshotConfig(**{field: value}), field) == value


@pytest.mark.parametrize(
    ("path", "field", "choices", "value"),
    [
        pytest.param(path, field, choices, value, id=f"{path}={value!r}")
        for path, field, choices in CHOICES
        for value in ("", "Cover", choices[0].swapcase(), None, 1, [choices[0]])
    ],
)
def test_any_other_choice_is_refused(path: str, field: str, choices: list[str], value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        SnapshotConfig(**{field: value})  # type: ignore[arg-type]

    assert (caught.value.path, caught.value.value) == (path, value)
    assert all(choice in caught.value.allowed for choice in choices)


def test_the_defaults() -> None:
    assert dataclasses.asdict(SnapshotConfig()) == {
        "type": "Normal",
        "frame_type": "intra",
        "count": None,
        "interval": None,
        "interval_ms": None,
        "time": 0,
        "width": None,
        "height": None,
        "black_level": None,
        "pixel_black_threshold": 30,
        "sprite_snapshot_config": {
            "cell_width": None,
            "cell_height": None,
            "padding": 0,
            "margin": 0,
            "columns": 10,
            "lines": 10,
            "color": "black",
        },
        "is_spt_frag": False,
        "keyframe_miss": "exact",
        "fit": "stretch",
        "black_scope": "first",
        "quality": 85,
        "allow_missing": 0,
        "max_read_bytes": None,
    }


@pytest.mark.parametrize("value", [None, 0, 1, "true", "True"])
def test_is_spt_frag_is_a_boolean(value: Any) -> None:
    with pytest.raises(ConfigError, match="must be true or false"):
        SnapshotConfig(is_spt_frag=value)


@pytest.mark.parametrize("value", [None, {}, {"columns": 5}, "black"])
def test_the_grid_is_a_sprite_snapshot_config(value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        SnapshotConfig(sprite_snapshot_config=value)

    assert caught.value.path == "SpriteSnapshotConfig"


@pytest.mark.parametrize(("interval", "interval_ms"), [(5, 5000), (0, 1), (1, 0)])
def test_interval_and_interval_ms_exclude_each_other(interval: int, interval_ms: int) -> None:
    with pytest.raises(ConfigError) as caught:
        SnapshotConfig(interval=interval, interval_ms=interval_ms)

    assert caught.value.path == "IntervalMs"


@pytest.mark.parametrize(
    ("config", "step_ms"),
    [
        pytest.param(SnapshotConfig(), 0, id="neither"),
        pytest.param(SnapshotConfig(interval=0), 0, id="Interval 0"),
        pytest.param(SnapshotConfig(interval=7), 7000, id="Interval is seconds"),
        pytest.param(SnapshotConfig(interval_ms=0), 0, id="IntervalMs 0"),
        pytest.param(SnapshotConfig(interval_ms=7), 7, id="IntervalMs is milliseconds"),
    ],
)
def test_step(config: SnapshotConfig, step_ms: int) -> None:
    assert config.step_ms == step_ms


@pytest.mark.parametrize(
    ("config", "sheets"),
    [
        pytest.param(SnapshotConfig(), False, id="Normal"),
        pytest.param(SnapshotConfig(is_spt_frag=True), False, id="Normal, IsSptFrag has no say"),
        pytest.param(SnapshotConfig(type="Sprite"), True, id="Sprite"),
        pytest.param(SnapshotConfig(type="WebVtt"), False, id="WebVtt single"),
        pytest.param(SnapshotConfig(type="WebVtt", is_spt_frag=True), True, id="WebVtt tiled"),
    ],
)
def test_makes_sheets(config: SnapshotConfig, sheets: bool) -> None:
    assert config.makes_sheets is sheets


def test_the_colour_names_are_those_of_css() -> None:
    # Pillow keeps a list of its own
    known = {name: ImageColor.getrgb(name) for name in ImageColor.colormap}

    assert {name: rgb_of(name) for name in CSS_COLOURS} == known
    assert len(known) == 148


@pytest.mark.parametrize(
    ("color", "rgb"),
    [
        ("Black", (0, 0, 0)),
        ("ReBeccaPurple", (0x66, 0x33, 0x99)),
        ("#000000", (0, 0, 0)),
        ("#ff8001", (255, 128, 1)),
        ("#FF8001", (255, 128, 1)),
    ],
)
def test_colours_in_any_case(color: str, rgb: tuple[int, int, int]) -> None:
    assert rgb_of(color) == rgb
    assert SpriteSnapshotConfig(color=color).color == color


@pytest.mark.parametrize(
    "color",
    [
        "",
        "blackk",
        " black",
        "black ",
        "ff8001",
        "#ff800",
        "#ff80011",
        "#ff800g",
        "#fff",
        "rgb(0,0,0)",
        "#١٢٣٤٥٦",
        None,
        0,
        ["black"],
    ],
)
def test_any_other_colour_is_refused(color: Any) -> None:
    with pytest.raises(ConfigError, match="#RRGGBB") as caught:
        SpriteSnapshotConfig(color=color)

    assert (caught.value.path, caught.value.value) == ("SpriteSnapshotConfig.Color", color)


@pytest.mark.parametrize("color", ["random", "Random"])
def test_a_random_colour_is_not_supported(color: str) -> None:
    with pytest.raises(NotSupported, match="#RRGGBB"):
        SpriteSnapshotConfig(color=color)


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("type", "Type"),
        ("is_spt_frag", "IsSptFrag"),
        ("interval_ms", "IntervalMs"),
        ("cell_width", "CellWidth"),
    ],
)
def test_wire_name(name: str, wire: str) -> None:
    assert wire_name(name) == wire


def test_a_config_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SnapshotConfig().width = 100  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        SpriteSnapshotConfig().columns = 5  # type: ignore[misc]


def test_the_error_says_what_would_have_been_right() -> None:
    with pytest.raises(ConfigError) as caught:
        SnapshotConfig(width=7)

    assert str(caught.value) == "Width is 7, but must be a whole number from 8 to 4096"
    assert caught.value.code == "InvalidParameter"


def test_the_error_shortens_what_it_shows() -> None:
    with pytest.raises(ConfigError) as caught:
        SnapshotConfig(type="x" * 1_000_000)  # type: ignore[arg-type]

    assert len(str(caught.value)) < 200
    assert caught.value.value == "x" * 1_000_000
