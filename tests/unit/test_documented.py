"""docs/parameters.md tells the truth: every parameter, option and command stands in it, and its examples hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from typer.main import get_command

from stillframe.catalog.system_templates import SYSTEM_TEMPLATES
from stillframe.cli.main import app_for
from stillframe.errors import ConfigError
from stillframe.media.config import CHOICES, RANGES, SnapshotConfig, SpriteSnapshotConfig, wire_name
from stillframe.media.config_json import parse
from stillframe.media.geometry import place, sheet_geometry
from stillframe.media.shotlist import shot_list
from stillframe.settings import Settings
from stillframe.telemetry import Metrics

TEXT = (Path(__file__).parents[2] / "docs" / "parameters.md").read_text(encoding="utf-8")
SETTINGS = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
SERVICE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
ALL_COMMANDS = get_command(app_for([])).commands  # type: ignore[attr-defined]
COMMANDS = {name: ALL_COMMANDS[name] for name in ("snap", "probe", "lint")}
SERVICE_COMMANDS = {
    f"{name} {inner}".strip(): command
    for name in ALL_COMMANDS.keys() - COMMANDS
    for inner, command in getattr(ALL_COMMANDS[name], "commands", {"": ALL_COMMANDS[name]}).items()
}

GRID = "SpriteSnapshotConfig"
KEYS = [wire_name(field.name) for field in fields(SnapshotConfig)]
GRID_KEYS = [f"{GRID}.{wire_name(field.name)}" for field in fields(SpriteSnapshotConfig)]


def tables() -> Iterator[list[list[str]]]:
    """Every table as rows of cells, the heading first."""
    for block in re.findall(r"(?:^\|.*\|\n)+", TEXT, re.MULTILINE):
        rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines()]
        yield [rows[0], *rows[2:]]


def rows_under(*heading: str) -> list[dict[str, str]]:
    """The rows of the one table with this heading."""
    found = [rows for rows in tables() if tuple(rows[0]) == heading]
    assert len(found) == 1, heading
    return [dict(zip(heading, row, strict=True)) for row in found[0][1:]]


PARAMETERS = {
    row["JSON"].strip("`"): row
    for row in rows_under("JSON", "Python", "option", "type", "allowed", "default", "unit", "what it is")
}


def test_every_system_template_is_what_its_row_says() -> None:
    rows = rows_under("TemplateId", "what it makes", "its config")
    told = {row["TemplateId"].strip("`"): json.loads(row["its config"].strip("`")) for row in rows}
    assert told == SYSTEM_TEMPLATES


def test_every_metric_of_ours_has_its_row() -> None:
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in Metrics().registry.collect()
    }
    rows = set(re.findall(r"^\| `(stillframe_\w+)` \|", OPERATING, re.MULTILINE))
    assert rows == {name for name in names if name.startswith("stillframe_")}


def test_every_parameter_has_its_row_and_no_other_has() -> None:
    assert set(PARAMETERS) == {*KEYS, *GRID_KEYS}


@pytest.mark.parametrize("key", [*KEYS, *GRID_KEYS])
def test_the_row_says_what_the_code_does(key: str) -> None:
    row = PARAMETERS[key]
    owner = SpriteSnapshotConfig if "." in key else SnapshotConfig
    field = next(field for field in fields(owner) if wire_name(field.name) == key.rpartition(".")[2])

    assert row["Python"] == f"`{field.name}`"
    assert row["what it is"]
    if key == GRID:
        return
    default = getattr(owner(), field.name)
    assert row["default"].strip("`") == (
        "-" if default is None else str(default).lower() if default is False else str(default)
    )
    if key in RANGES:
        low, high = RANGES[key]
        assert row["type"] == "integer"
        assert row["allowed"] == (f"{low} or more" if high is None else f"{low} to {high}")
    if key in CHOICES:
        assert row["allowed"] == ", ".join(f"`{choice}`" for choice in CHOICES[key])


UNITS = {
    "Interval": "s",
    "IntervalMs": "ms",
    "Time": "ms",
    "Width": "px",
    "Height": "px",
    "BlackLevel": "%",
    "AllowMissing": "%",
    "MaxReadBytes": "byte",
} | dict.fromkeys((f"{GRID}.{key}" for key in ("CellWidth", "CellHeight", "Padding", "Margin")), "px")


def test_numbers_have_their_units() -> None:
    assert {key: row["unit"] for key, row in PARAMETERS.items() if row["unit"]} == UNITS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    assert f"`stillframe {command} " in TEXT


@pytest.mark.parametrize(
    ("command", "option"),
    [
        pytest.param(command, option, id=f"{command} {option}")
        for command in COMMANDS
        for parameter in COMMANDS[command].params
        for option in [*parameter.opts, *parameter.secondary_opts]
        if option.startswith("-") and option not in ("--help", "-h")
    ],
)
def test_every_option_is_documented(command: str, option: str) -> None:
    _, _, of_commands = TEXT.partition("## The commands' own options")
    own = "" if command == "snap" else of_commands[of_commands.index(f"`stillframe {command} ") :]
    # the options of snap stand in tables, those of the others in their one line
    assert (
        (f"[{option}]" in own.partition("\n")[0])
        if own
        else re.search(rf"^\|.*`{option}`", TEXT, re.MULTILINE)
    )


@pytest.mark.parametrize("command", sorted(SERVICE_COMMANDS))
def test_every_command_of_the_service_is_documented_with_its_options(command: str) -> None:
    lines = [line for line in SERVICE.splitlines() if re.match(rf"`stillframe {command}[ `]", line)]
    assert len(lines) == 1
    shared = {"--help", "-h", "--data-dir", "--config", "--endpoint", "--profile"}
    options = {
        option
        for parameter in SERVICE_COMMANDS[command].params
        for option in [*parameter.opts, *parameter.secondary_opts]
        if option.startswith("-")
    }
    assert {*re.findall(r"\[(-[a-z-]+)\]", lines[0])} == options - shared


@pytest.mark.parametrize("row", PARAMETERS.values(), ids=PARAMETERS)
def test_the_options_of_the_table_exist(row: dict[str, str]) -> None:
    known = {
        option
        for parameter in COMMANDS["snap"].params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }

    options = re.findall(r"`(--[a-z-]+)`", row["option"])

    assert set(options) <= known
    assert bool(options) is (row["JSON"] != f"`{GRID}`")


@pytest.mark.parametrize("wire", [{"Width": 7}, {"Widht": 100}], ids=["not allowed", "unknown"])
def test_the_examples_of_errors_hold(wire: dict[str, int]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(wire)

    assert f"`{caught.value}`" in " ".join(TEXT.split())


@pytest.mark.parametrize(
    "row", rows_under("parameters", "the video lasts", "pictures at"), ids=lambda row: row["parameters"]
)
def test_the_examples_of_moments_hold(row: dict[str, str]) -> None:
    config = parse(json.loads(row["parameters"].strip("`")))
    moments = [float(number) * 1000 for number in row["pictures at"].removesuffix(" s").split(", ")]

    assert (
        list(shot_list(config, int(row["the video lasts"].removesuffix(" s")) * 1000).requested_ms) == moments
    )


@pytest.mark.parametrize(
    "row",
    rows_under("`Columns`", "`Lines`", "cell", "`Padding`", "`Margin`", "sheet"),
    ids=lambda row: row["sheet"],
)
def test_the_examples_of_sheets_hold(row: dict[str, str]) -> None:
    columns, lines, padding, margin = (
        int(row[f"`{key}`"]) for key in ("Columns", "Lines", "Padding", "Margin")
    )
    grid = SpriteSnapshotConfig(*size(row["cell"]), padding, margin, columns, lines)

    sheet = sheet_geometry(SnapshotConfig(type="Sprite", sprite_snapshot_config=grid), 1920, 1080)

    assert (sheet.width_px, sheet.height_px) == size(row["sheet"])
    assert (sheet.columns, sheet.lines) == (columns, lines)


@pytest.mark.parametrize("row", rows_under("asked", "becomes"), ids=lambda row: row["asked"])
def test_the_examples_of_too_large_sheets_hold(row: dict[str, str]) -> None:
    asked, cell = row["asked"].split(" cells of ")
    grid = SpriteSnapshotConfig(*size(cell), 0, 0, *size(asked))

    sheet = sheet_geometry(SnapshotConfig(type="Sprite", sprite_snapshot_config=grid), 1920, 1080)

    same = row["becomes"].startswith("the same")
    assert (sheet.columns, sheet.lines) == size(asked if same else row["becomes"].partition(",")[0])


@pytest.mark.parametrize("row", rows_under("`Fit`", "what happens"), ids=lambda row: row["`Fit`"])
def test_the_examples_of_fit_hold(row: dict[str, str]) -> None:
    fit = row["`Fit`"].strip("`")
    said = re.search(r"\d+x\d+", row["what happens"])
    assert said is not None

    picture = place(120, 120, fit, 1920, 1080).picture  # type: ignore[arg-type]

    assert (picture.width, picture.height) == size(said[0])


def size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def test_every_setting_is_documented_and_no_other() -> None:
    rows = [
        (name, "one for each processor" if field.default_factory else str(field.default), field.description)
        for name, field in Settings.model_fields.items()
    ]
    found = re.findall(r"^\| `([a-z_]+)` \| (?:`([^`]*)`|(.*?)) \| (.*) \|$", SETTINGS, re.MULTILINE)
    assert [(name, code or words, text) for name, code, words, text in found] == [
        (name, "none" if value in ("None", "()") else value, text) for name, value, text in rows
    ]
