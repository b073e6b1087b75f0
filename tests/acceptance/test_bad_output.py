"""Outputs that cannot be written: one line that names the file and why, exit code 1, and nothing half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from the_command import COMMAND, Done, demand_one_line, files_in, rgb, run

from stillframe.testing import Clip, barcode

#: the largest file that may be written; Python ignores the signal, so that a write fails as on a full disk
FILE_LIMIT = (
    sys.executable,
    "-c",
    "import os, resource, sys\n"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)\n"
    "os.execv(sys.argv[2], sys.argv[2:])",
)
#: a small disk on ./disk in a mount namespace of its own; what came to lie on it is copied out at the end
SMALL_DISK = (
    "unshare",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    'mount -t tmpfs -o size=$0 none disk || exit 99; "$@"; code=$?; cp -a disk/. kept; exit $code',
)
STILLS = "snap movie.mp4 -o '{folder}{{Count}}.jpg' --interval 1 --frame-type normal"
SHEETS = "snap movie.mp4 -o '{folder}{{TileCount}}.jpg' --type Sprite --interval 1 --columns 2 --lines 2"
TRACK = "snap movie.mp4 -o {folder}movie.vtt --type WebVtt --interval 1"


@pytest.mark.parametrize("command", [STILLS, TRACK], ids=["stills", "track"])
def test_a_folder_that_is_not_there(folder: Path, command: str) -> None:
    done = run(command.format(folder="no/such/"), folder)
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, "no/such: the folder no does not exist")
    assert files_in(folder) == ["movie.mp4"]


@pytest.mark.parametrize("command", [STILLS, TRACK], ids=["stills", "track"])
def test_a_folder_that_is_a_file(folder: Path, command: str) -> None:
    done = run(command.format(folder="movie.mp4/"), folder)
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, "movie.mp4: is a file, not a folder")
    assert files_in(folder) == ["movie.mp4"]


@pytest.mark.parametrize("command", [STILLS, TRACK], ids=["stills", "track"])
def test_a_folder_that_may_not_be_written(folder: Path, command: str, as_anyone: tuple[str, ...]) -> None:
    (folder / "locked").mkdir(mode=0o555)
    done = run(command.format(folder="locked/"), folder, command=(*as_anyone, *COMMAND))
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, "locked: the folder is not writable")
    assert files_in(folder) == ["movie.mp4"]


def test_a_new_folder_in_one_that_may_not_be_written(folder: Path, as_anyone: tuple[str, ...]) -> None:
    (folder / "locked").mkdir(mode=0o555)
    done = run("snap movie.mp4 -o 'locked/new/{Count}.jpg'", folder, command=(*as_anyone, *COMMAND))
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, "locked/new: permission denied")


@pytest.mark.parametrize("name", ["00001.jpg", "movie.vtt"])
def test_an_output_that_is_a_folder(folder: Path, name: str) -> None:
    (folder / "out" / name).mkdir(parents=True)
    command = TRACK if name.endswith(".vtt") else STILLS
    done = run(command.format(folder="out/"), folder)
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, f"out/{name}: is a folder")
    _demand_whole(folder / "out")
    assert list((folder / "out" / name).iterdir()) == []


def test_the_folder_of_a_track_is_a_file(folder: Path) -> None:
    (folder / "movie").write_text("mine")
    done = run(TRACK.format(folder=""), folder)
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, "movie: is a file, not a folder")
    assert files_in(folder) == ["movie", "movie.mp4"]
    assert (folder / "movie").read_text() == "mine"


def test_a_name_that_is_too_long(folder: Path) -> None:
    done = run(["snap", "movie.mp4", "-o", "x" * 300 + ".jpg"], folder)
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, "xxx.jpg: the name is too long")
    assert files_in(folder) == ["movie.mp4"]


def test_several_pictures_for_one_name(folder: Path) -> None:
    done = run("snap movie.mp4 -o x.jpg --count 3", folder)
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, "movie.mp4", "'x.jpg'", "{Count}", "3 files")
    assert files_in(folder) == ["movie.mp4"]


def test_a_write_that_fails_leaves_what_was_there(folder: Path) -> None:
    before = b"the still of yesterday"
    (folder / "00001.jpg").write_bytes(before)
    assert _with_file_limit(STILLS.format(folder=""), folder, 1000).code == 1
    assert files_in(folder) == ["00001.jpg", "movie.mp4"]
    assert (folder / "00001.jpg").read_bytes() == before


@pytest.mark.parametrize(
    ("command", "limit", "left"),
    [(STILLS, 1000, []), (SHEETS, 4000, []), (TRACK, 1000, [])],
    ids=["stills", "sheets", "track"],
)
def test_a_write_that_fails(folder: Path, command: str, limit: int, left: list[str]) -> None:
    done = _with_file_limit(command.format(folder="out/"), folder, limit)
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, "out/", ".jpg: ", "too large")
    assert files_in(folder / "out") == left


def test_a_track_that_cannot_be_written_leaves_no_track(folder: Path) -> None:
    """The pictures are small, the track is longer than the limit."""
    command = "snap movie.mp4 -o out/movie.vtt --type WebVtt --interval 100ms --width 16 --quality 30"
    done = _with_file_limit(command, folder, 5000)
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, "out/movie.vtt: ", "too large")
    names = files_in(folder / "out")
    assert "movie.vtt" not in names
    assert len(names) == 250
    _demand_whole(folder / "out")


@pytest.mark.parametrize(
    ("command", "size"), [(STILLS, "32k"), (SHEETS, "32k"), (TRACK, "32k")], ids=["stills", "sheets", "track"]
)
def test_a_full_disk(folder: Path, film: Clip, command: str, size: str) -> None:
    _skip_unless_disks_can_be_mounted(folder)
    done = run(command.format(folder="disk/"), folder, command=(*SMALL_DISK, size, *COMMAND))
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, "disk/", ".jpg: no space left on the disk")
    names = files_in(folder / "kept")
    assert 0 < len(names) < 25
    assert "movie.vtt" not in names
    _demand_whole(folder / "kept")
    if command is STILLS:
        for name in names:
            assert barcode.read(rgb(folder / "kept" / name)) == film.number_at((int(name[:5]) - 1) * 1000)


@pytest.fixture
def as_anyone(tmp_path: Path, without_privileges: tuple[str, ...]) -> tuple[str, ...]:
    """What the command runs under, so that a folder's mode counts; skips where it cannot be had."""
    locked = tmp_path / "probe"
    locked.mkdir(mode=0o555)
    write = [
        *without_privileges,
        sys.executable,
        "-c",
        "import sys; open(sys.argv[1], 'w')",
        str(locked / "x"),
    ]
    if subprocess.run(write, capture_output=True, check=False).returncode == 0:
        pytest.skip("the user who runs the tests may write everywhere")
    locked.rmdir()
    return without_privileges


def _with_file_limit(arguments: str, folder: Path, limit_bytes: int) -> Done:
    # Python itself would leave cut-off .pyc files behind
    environment = {"PYTHONDONTWRITEBYTECODE": "1"}
    return run(arguments, folder, command=(*FILE_LIMIT, str(limit_bytes), *COMMAND), env=environment)


def _demand_whole(folder: Path) -> None:
    """Every file in the folder is a picture that decodes to its end."""
    for name in files_in(folder):
        assert name.endswith(".jpg")
        assert not Path(name).name.startswith(".")
        assert rgb(folder / name).size > 0


def _skip_unless_disks_can_be_mounted(folder: Path) -> None:
    (folder / "disk").mkdir()
    (folder / "kept").mkdir()
    try:
        tried = subprocess.run(
            [*SMALL_DISK, "16k", "true"], cwd=folder, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        pytest.skip(f"no small disk: {error}")
    if tried.returncode == 99 or "unshare" in tried.stderr:
        pytest.skip(f"no small disk may be mounted here: {tried.stderr.strip()}")
