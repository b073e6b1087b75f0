"""The wire's spelling: what SDKs and people send, what is laid over what, and the way back."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillframe.errors import ConfigError
from stillframe.media.config import CHOICES, CSS_COLOURS, RANGES, SnapshotConfig, SpriteSnapshotConfig
from stillframe.media.config_json import merge, parse, to_wire

EVERYTHING = {
    "Type": "Sprite",
    "FrameType": "normal",
    "Count": 5,
    "Interval": 10,
    "Time": 1000,
    "Width": 720,
    "Height": 480,
    "BlackLevel": 30,
    "PixelBlackThreshold": 70,
    "SpriteSnapshotConfig": {
        "CellWidth": 72,
        "CellHeight": 48,
        "Padding": 20,
        "Margin": 21,
        "Columns": 22,
        "Lines": 23,
        "Color": "#000000",
    },
    "IsSptFrag": True,
    "KeyframeMiss": "skip",
    "Fit": "contain",
    "BlackScope": "every",
    "Quality": 90,
    "AllowMissing": 10,
    "MaxReadBytes": 20_000_000,
}


def wire_of(path: str, value: object) -> dict[str, Any]:
    """The wire with one parameter, such as `SpriteSnapshotConfig.Columns`."""
    outer, _, inner = path.partition(".")
    return {outer: {inner: value}} if inner else {path: value}


def value_of(config: SnapshotConfig, path: str) -> object:
    wire: Any = to_wire(config)
    for key in path.split("."):
        wire = wire[key]
    return wire


def test_an_empty_object_is_the_defaults() -> None:
    assert parse({}) == SnapshotConfig()


def test_every_parameter_is_read() -> None:
    assert parse(EVERYTHING) == SnapshotConfig(
        type="Sprite",
        frame_type="normal",
        count=5,
        interval=10,
        time=1000,
        width=720,
        height=480,
        black_level=30,
        pixel_black_threshold=70,
        sprite_snapshot_config=SpriteSnapshotConfig(
            cell_width=72, cell_height=48, padding=20, margin=21, columns=22, lines=23, color="#000000"
        ),
        is_spt_frag=True,
        keyframe_miss="skip",
        fit="contain",
        black_scope="every",
        quality=90,
        allow_missing=10,
        max_read_bytes=20_000_000,
    )
    assert parse({"IntervalMs": 1500}) == SnapshotConfig(interval_ms=1500)


def test_this_table_leaves_no_parameter_out() -> None:
    names = {field.name for field in dataclasses.fields(SnapshotConfig)}
    differing = {
        name for name in names if getattr(parse(EVERYTHING), name) != getattr(SnapshotConfig(), name)
    }

    assert names - differing == {"interval_ms"}


@pytest.mark.parametrize("key", [*EVERYTHING, "IntervalMs"])
def test_null_is_absent(key: str) -> None:
    assert parse({key: None}) == SnapshotConfig()


@pytest.mark.parametrize("key", EVERYTHING["SpriteSnapshotConfig"])  # type: ignore[arg-type]
def test_null_is_absent_in_the_grid_too(key: str) -> None:
    assert parse({"SpriteSnapshotConfig": {key: None}}) == SnapshotConfig()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(path, value, id=f"{path}={value!r}")
        for path, (low, high) in RANGES.items()
        for number in (low, high if high is not None else 10**12)
        for value in (number, str(number), float(number))
    ],
)
def test_numbers_at_the_ends_of_their_range(path: str, value: object) -> None:
    assert value_of(parse(wire_of(path, value)), path) == int(value)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(path, value, id=f"{path}={value!r}")
        for path, (low, high) in RANGES.items()
        for number in ([low - 1] if high is None else [low - 1, high + 1])
        for value in (number, str(number), float(number))
    ],
)
def test_numbers_one_beyond_an_end_are_refused(path: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(wire_of(path, value))

    assert caught.value.path == path
    assert f"{RANGES[path][0]}" in caught.value.allowed


@pytest.mark.parametrize("value", [" 42", "42 ", "\t42\n", "0042", 42.0, "0" * 19 + "42", "0" * 30 + "42"])
def test_lenient_numbers(value: object) -> None:
    assert parse({"Time": value}).time == 42


@pytest.mark.parametrize("path", RANGES)
@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "ten",
        "42.0",
        "4e1",
        "+42",
        "-42",
        "0x2a",
        "4_2",
        "٤٢",
        "42 px",
        42.5,
        float("nan"),
        float("inf"),
        True,
        [42],
        {},
        "9" * 5000,
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_number_is_refused(path: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(wire_of(path, value))

    assert caught.value.path == path


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (True, True),
        ("true", True),
        ("True", True),
        ("tRuE", True),
        (False, False),
        ("false", False),
        ("False", False),
        ("FALSE", False),
    ],
)
def test_booleans_in_any_case(value: object, read: bool) -> None:
    assert parse({"IsSptFrag": value}).is_spt_frag is read


@pytest.mark.parametrize("value", ["yes", "1", "0", "", "truee", 1, 0, 1.0, [], {}])
def test_what_is_no_boolean_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="true or false") as caught:
        parse({"IsSptFrag": value})

    assert (caught.value.path, caught.value.value) == ("IsSptFrag", value)


@pytest.mark.parametrize("key", CHOICES)
@pytest.mark.parametrize("value", ["", "Cover", "NORMAL", 1, True, [], {}])
def test_what_is_no_choice_is_refused(key: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({key: value})

    assert caught.value.path == key
    assert all(choice in caught.value.allowed for choice in CHOICES[key])


@pytest.mark.parametrize("value", ["", "black", "{}", 5, True, [], [["Columns", 5]]])
def test_the_grid_is_an_object(value: object) -> None:
    with pytest.raises(ConfigError, match="an object") as caught:
        parse({"SpriteSnapshotConfig": value})

    assert caught.value.path == "SpriteSnapshotConfig"


@pytest.mark.parametrize(
    ("wire", "path", "hint"),
    [
        pytest.param({"Widht": 1}, "Widht", "did you mean Width?", id="a typing mistake"),
        pytest.param({"width": 1}, "width", "did you mean Width?", id="another case"),
        pytest.param({"frame_type": "intra"}, "frame_type", "did you mean FrameType?", id="Python's name"),
        pytest.param({"IntervalMS": 1}, "IntervalMS", "did you mean IntervalMs?", id="an extension"),
        pytest.param(
            {"SpriteSnapshotConfig": {"Colums": 5}},
            "SpriteSnapshotConfig.Colums",
            "did you mean Columns?",
            id="in the grid",
        ),
        pytest.param({"Widht": None}, "Widht", "did you mean Width?", id="even when it is null"),
    ],
)
def test_an_unknown_parameter_is_named_with_a_hint(wire: dict[str, Any], path: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(wire)

    assert caught.value.path == path
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param({"Codec": "h264"}, id="like no other"),
        pytest.param({"Columns": 5}, id="one of the grid's, outside of it"),
        pytest.param({"SpriteSnapshotConfig": {"FrameType": "intra"}}, id="one from outside, in the grid"),
        pytest.param({"": 5}, id="empty"),
        pytest.param({"x" * 1_000_000: 5}, id="a million letters"),
    ],
)
def test_an_unknown_parameter_is_refused_without_a_hint_too(wire: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="there is no such parameter"):
        parse(wire)


@pytest.mark.parametrize(
    ("template", "overrides", "merged"),
    [
        pytest.param({"Width": 100}, [], {"Width": 100}, id="nothing over it"),
        pytest.param({"Width": 100}, [{"Width": 200}], {"Width": 200}, id="the override goes over it"),
        pytest.param({"Width": 100}, [{"Height": 50}], {"Width": 100, "Height": 50}, id="key by key"),
        pytest.param(
            {"Width": 100}, [{"Width": 200}, {"Width": 300}], {"Width": 300}, id="the last layer wins"
        ),
        pytest.param({"Width": 100}, [{"Width": None}], {"Width": 100}, id="a null takes nothing away"),
        pytest.param({"Type": "Sprite"}, [{"Type": "Normal"}], {"Type": "Normal"}, id="Type, too"),
        pytest.param(
            {"IsSptFrag": True}, [{"IsSptFrag": False}], {"IsSptFrag": False}, id="false is a value"
        ),
        pytest.param({"Time": 5}, [{"Time": 0}], {"Time": 0}, id="0 is a value"),
        pytest.param(
            {"SpriteSnapshotConfig": {"Columns": 5, "Lines": 6}},
            [{"SpriteSnapshotConfig": {"Columns": 7}}],
            {"SpriteSnapshotConfig": {"Columns": 7, "Lines": 6}},
            id="the grid, key by key",
        ),
        pytest.param(
            {"SpriteSnapshotConfig": {"Columns": 5}},
            [{"SpriteSnapshotConfig": {"Lines": 6}}, {"SpriteSnapshotConfig": {"Lines": 7, "Columns": None}}],
            {"SpriteSnapshotConfig": {"Columns": 5, "Lines": 7}},
            id="the grid, over three layers",
        ),
        pytest.param(
            {},
            [{"SpriteSnapshotConfig": {"Columns": 5}}],
            {"SpriteSnapshotConfig": {"Columns": 5}},
            id="a grid where there was none",
        ),
        pytest.param(
            {"Interval": 5}, [{"IntervalMs": 100}], {"IntervalMs": 100}, id="IntervalMs for Interval"
        ),
        pytest.param({"IntervalMs": 100}, [{"Interval": 5}], {"Interval": 5}, id="Interval for IntervalMs"),
        pytest.param({"IntervalMs": 100}, [{"Interval": 0}], {"Interval": 0}, id="even Interval 0"),
        pytest.param({"Interval": 5}, [{"IntervalMs": None}], {"Interval": 5}, id="not for null"),
        pytest.param(
            {"Interval": 5},
            [{"IntervalMs": None, "Interval": 6}],
            {"Interval": 6},
            id="null beside it",
        ),
        pytest.param(
            {"Interval": 5},
            [{"IntervalMs": 100}, {"Interval": 7}],
            {"Interval": 7},
            id="Interval for IntervalMs for Interval",
        ),
        pytest.param(
            {"Widht": 1}, [{"Width": 2}], {"Widht": 1, "Width": 2}, id="unknown keys are kept, for parse"
        ),
    ],
)
def test_merge(template: dict[str, Any], overrides: list[dict[str, Any]], merged: dict[str, Any]) -> None:
    before = copy.deepcopy((template, overrides))

    assert merge(template, *overrides) == merged
    assert (template, overrides) == before


def test_a_layer_with_both_intervals_contradicts_itself() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(merge({}, {"Interval": 5, "IntervalMs": 100}))

    assert caught.value.path == "IntervalMs"


def numbers(path: str) -> st.SearchStrategy[int]:
    low, high = RANGES[path]
    return st.integers(low, high if high is not None else 2**53 - 1)


COLORS = st.sampled_from(sorted(CSS_COLOURS)) | st.from_regex(r"\A#[0-9a-fA-F]{6}\Z")
GRIDS = st.builds(
    SpriteSnapshotConfig,
    cell_width=st.none() | numbers("SpriteSnapshotConfig.CellWidth"),
    cell_height=st.none() | numbers("SpriteSnapshotConfig.CellHeight"),
    padding=numbers("SpriteSnapshotConfig.Padding"),
    margin=numbers("SpriteSnapshotConfig.Margin"),
    columns=numbers("SpriteSnapshotConfig.Columns"),
    lines=numbers("SpriteSnapshotConfig.Lines"),
    color=COLORS,
)
INTERVALS = st.one_of(
    st.just({}),
    st.builds(lambda value: {"interval": value}, numbers("Interval")),
    st.builds(lambda value: {"interval_ms": value}, numbers("IntervalMs")),
)
CONFIGS = st.builds(
    lambda intervals, **others: SnapshotConfig(**intervals, **others),
    intervals=INTERVALS,
    type=st.sampled_from(CHOICES["Type"]),
    frame_type=st.sampled_from(CHOICES["FrameType"]),
    count=st.none() | numbers("Count"),
    time=numbers("Time"),
    width=st.none() | numbers("Width"),
    height=st.none() | numbers("Height"),
    black_level=st.none() | numbers("BlackLevel"),
    pixel_black_threshold=numbers("PixelBlackThreshold"),
    sprite_snapshot_config=GRIDS,
    is_spt_frag=st.booleans(),
    keyframe_miss=st.sampled_from(CHOICES["KeyframeMiss"]),
    fit=st.sampled_from(CHOICES["Fit"]),
    black_scope=st.sampled_from(CHOICES["BlackScope"]),
    quality=numbers("Quality"),
    allow_missing=numbers("AllowMissing"),
)


@settings(deadline=None)
@given(CONFIGS)
def test_a_config_survives_the_wire(config: SnapshotConfig) -> None:
    wire = json.loads(json.dumps(to_wire(config)))

    assert parse(wire) == config
    assert None not in wire.values()
    assert None not in wire["SpriteSnapshotConfig"].values()


@settings(deadline=None)
@given(CONFIGS)
def test_a_config_survives_as_text(config: SnapshotConfig) -> None:
    def as_text(value: Any) -> Any:
        return {key: as_text(item) for key, item in value.items()} if isinstance(value, dict) else str(value)

    assert parse(as_text(to_wire(config))) == config


@settings(deadline=None)
@given(CONFIGS, CONFIGS)
def test_what_lies_on_top_is_what_counts(below: SnapshotConfig, above: SnapshotConfig) -> None:
    merged = parse(merge(to_wire(below), to_wire(above)))

    for key, value in to_wire(above).items():
        if key != "SpriteSnapshotConfig":
            assert to_wire(merged)[key] == value
    assert to_wire(merged)["SpriteSnapshotConfig"].items() >= to_wire(above)["SpriteSnapshotConfig"].items()


def test_to_wire_says_what_has_a_value() -> None:
    assert to_wire(SnapshotConfig(count=5)) == {
        "Type": "Normal",
        "FrameType": "intra",
        "Count": 5,
        "Time": 0,
        "PixelBlackThreshold": 30,
        "SpriteSnapshotConfig": {"Padding": 0, "Margin": 0, "Columns": 10, "Lines": 10, "Color": "black"},
        "IsSptFrag": False,
        "KeyframeMiss": "exact",
        "Fit": "stretch",
        "BlackScope": "first",
        "Quality": 85,
        "AllowMissing": 0,
    }
