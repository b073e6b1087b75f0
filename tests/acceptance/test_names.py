"""File names as they come: dashes, percent signs, scripts, emoji, brackets, line ends, and no UTF-8 at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from the_command import demand_one_line, files_in, rgb, run

from stillframe.testing import Clip, barcode

NAMES = (
    "-dash first",
    "--count",
    "naïve – vidéo",
    "映画 🎬",
    "percent %03d name",
    "a.b.c",
    ".hidden",
    "[red]rich[red]",
    "what? #1 & 100%",
    "  spaces  ",
    'quo\'te "d"',
    "back\\slash",
)


@pytest.fixture
def folder_of_names(tmp_path: Path, film: Clip) -> Path:
    """A folder with the film under each name."""
    for name in NAMES:
        shutil.copy(film.path, tmp_path / f"{name}.mp4")
    return tmp_path


def test_a_name_is_taken_as_it_is(folder_of_names: Path) -> None:
    sources = [f"{name}.mp4" for name in NAMES]
    done = run(["snap", "-o", "out/{Name}-{Count}.jpg", "--count", "2", "--", *sources], folder_of_names)
    assert (done.code, done.complaints) == (0, "")
    lines = [line.partition(" in ")[0] for line in done.out.splitlines()]
    assert lines == [f"{source}: 2 stills of 192x108" for source in sources]
    assert files_in(folder_of_names / "out") == sorted(
        f"{name}-0000{number}.jpg" for name in NAMES for number in (1, 2)
    )
    for name in NAMES:
        assert barcode.read(rgb(folder_of_names / f"out/{name}-00002.jpg")) == 60


def test_a_track_points_to_its_pictures_by_any_name(folder_of_names: Path) -> None:
    options = ["--type", "WebVtt", "--tiled", "--interval", "5", "--width", "96", "-o", "{Name}.vtt"]
    done = run(["snap", *options, "--", *(f"{name}.mp4" for name in NAMES)], folder_of_names)
    assert (done.code, done.complaints) == (0, "")
    lint = run(["lint", "--", *(f"{name}.vtt" for name in NAMES)], folder_of_names)
    assert (lint.code, lint.err) == (0, "")
    assert len(lint.out.splitlines()) == len(NAMES)
    for name in NAMES:
        text = (folder_of_names / f"{name}.vtt").read_text()
        payloads = {line.partition("#")[0] for line in text.splitlines() if "#xywh" in line}
        assert {unquote(payload) for payload in payloads} == {f"{name}/snapshot-tile-00001.jpg"}
        sheet = rgb(folder_of_names / f"{name}/snapshot-tile-00001.jpg")
        assert barcode.read_sheet(sheet, 10, 96, 54)[:5] == [0, 25, 50, 75, 100]


def test_a_placeholder_in_a_name_is_none(tmp_path: Path, film: Clip) -> None:
    for name in ("{Count}", "{Name}"):
        shutil.copy(film.path, tmp_path / f"{name}.mp4")
    done = run(["snap", "{Count}.mp4", "{Name}.mp4", "-o", "o/{Name}-{Count}.jpg", "--count", "2"], tmp_path)
    assert (done.code, done.complaints) == (0, "")
    assert files_in(tmp_path / "o") == [f"{{{n}}}-0000{k}.jpg" for n in ("Count", "Name") for k in (1, 2)]


def test_a_line_end_in_a_name_does_not_break_the_line(tmp_path: Path) -> None:
    done = run(["snap", "two\nlines.mp4", "-o", "x.jpg"], tmp_path)
    assert done.code == 1
    demand_one_line(done, "two", "lines.mp4", "no such file")


@pytest.mark.parametrize("command", [["snap", "-o", "{Name}.jpg"], ["probe"]], ids=["snap", "probe"])
def test_a_name_that_is_no_utf8(folder: Path, command: list[str]) -> None:
    name = b"caf\xe9.mp4"
    try:
        shutil.copy(folder / "movie.mp4", os.fsencode(folder) + b"/" + name)
    except OSError as error:
        pytest.skip(f"this file system wants UTF-8 names: {error}")
    plain = run([*command, name, b"gone\xe9.mp4"], folder)
    assert plain.code == 1
    assert "caf" in plain.out
    demand_one_line(plain, "gone", "no such file")
    told = run([*command, "--json", name, b"gone\xe9.mp4"], folder)
    assert told.code == 1
    demand_one_line(told, "gone", "no such file")
    assert "caf" in told.objects[0]["source"]
    if command[0] == "snap":
        assert barcode.read(rgb(Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg")))) == 0
