"""The form of a snapshot config: every parameter has a field, and what it says comes back or is told to be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from stillframe.catalog.system_templates import SYSTEM_TEMPLATES
from stillframe.console.config_form import FIELDS, ConfigForm, field_of
from stillframe.media.config import CHOICES, RANGES
from stillframe.media.config_json import parse, to_wire

SHEET: dict[str, Any] = {
    "Type": "Sprite",
    "FrameType": "normal",
    "Count": 5,
    "IntervalMs": 2500,
    "Time": 1050,
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
        "Color": "#0000ff",
    },
    "KeyframeMiss": "skip",
    "Fit": "contain",
    "BlackScope": "every",
    "Quality": 90,
    "AllowMissing": 10,
    "MaxReadBytes": 20_000_000,
}
CONFIGS = {
    **SYSTEM_TEMPLATES,
    "sheet": SHEET,
    "text": {"Width": "160", "Count": 4.0},
    "spread": {"Interval": 0},
}


def test_every_parameter_has_a_field() -> None:
    of_wire = {*RANGES, *CHOICES, "IsSptFrag", "SpriteSnapshotConfig.Color"}
    assert {*FIELDS} == of_wire - {"IntervalMs"}
    for name, allowed in CHOICES.items():
        choices = FIELDS[name].choices
        assert choices is not None
        assert {value for value, _ in choices} == {*allowed}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_comes_back_out_of_its_form(name: str) -> None:
    wire = CONFIGS[name]
    shown = ConfigForm.of(wire)
    read = ConfigForm.read(shown.texts, base=wire)
    assert read.errors == {}
    assert read.config == shown.config == parse(wire)
    assert to_wire(parse(read.wire)) == to_wire(parse(wire))
    assert {*read.wire} == {*wire, "Type"}


def test_only_what_was_said_is_in_the_config() -> None:
    empty = ConfigForm.read(
        {**ConfigForm.of({}).texts, "Type": "WebVtt", "IsSptFrag": "true", "Interval": "2.5"}
    )
    assert empty.wire == {"Type": "WebVtt", "IsSptFrag": True, "IntervalMs": 2500}
    assert ConfigForm.read({"Interval": "10", "Time": "1.5"}).wire == {
        "Type": "Normal",
        "Interval": 10,
        "Time": 1500,
    }


def test_what_does_not_count_stays_as_it_was() -> None:
    grid = {"Columns": 3, "Lines": 2}
    wire = {"Type": "Normal", "SpriteSnapshotConfig": grid, "IsSptFrag": True}
    sent = ConfigForm.of(wire).texts | {"SpriteSnapshotConfig.Columns": "nonsense", "Width": "100"}
    assert ConfigForm.read(sent, base=wire).wire == wire | {"Width": 100}
    assert ConfigForm.read(sent).wire == {"Type": "Normal", "Width": 100}
    # a template's type cannot be changed
    fixed = ConfigForm.read({"Type": "Normal", "SpriteSnapshotConfig.Columns": "3"}, type="Sprite")
    assert fixed.wire == {"Type": "Sprite", "SpriteSnapshotConfig": {"Columns": 3}}


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("Width", "7", "7 is not right. It must be a whole number from 8 to 4096."),
        ("Width", "wide", "wide is not right. It must be a whole number from 8 to 4096."),
        ("Count", "-1", "-1 is not right. It must be a whole number from 1 to 20000."),
        ("Interval", "10s", "10s is not right. It must be seconds such as 12 or 2.5, to the thousandth."),
        ("Time", "1.2345", "1.2345 is not right. It must be seconds such as 12 or 2.5, to the thousandth."),
        ("FrameType", "exact", "exact is not right. It must be one of intra, normal."),
        ("Type", "Cover", "Cover is not right. It must be one of Normal, Sprite, WebVtt."),
        (
            "SpriteSnapshotConfig.Color",
            "random",
            "random is not right. It must be a CSS colour name or #RRGGBB.",
        ),
    ],
)
def test_what_is_wrong_is_told_of_its_field(field: str, text: str, told: str) -> None:
    read = ConfigForm.read({field: text})
    assert read.config is None
    assert read.errors == {field: told}
    assert read.texts[field] == text


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong = {
        "Type": "Sprite",
        "Width": "7",
        "Quality": "0",
        "Interval": "x",
        "SpriteSnapshotConfig.Columns": "0",
        "SpriteSnapshotConfig.Color": "nothing",
    }
    assert {*ConfigForm.read(wrong).errors} == {*wrong} - {"Type"}


def test_a_config_that_was_written_by_hand_may_be_wrong_beside_all_fields() -> None:
    form = ConfigForm.of({"Widht": 100, "Height": 3, "SpriteSnapshotConfig": 5})
    assert form.config is None
    assert form.errors[""].startswith("SpriteSnapshotConfig is 5") or "did you mean Width?" in form.errors[""]
    assert form.errors["Height"].startswith("3 is not right")
    both = ConfigForm.of({"Interval": 1, "IntervalMs": 5})
    assert both.errors == {"Interval": "5 is not right. It must be left out when Interval is given."}


def test_errors_of_two_fields_stand_beside_the_first() -> None:
    assert field_of("SpriteSnapshotConfig.CellWidth x CellHeight") == "SpriteSnapshotConfig.CellWidth"
    assert field_of("IntervalMs") == "Interval"
    assert field_of("Widht") == ""
