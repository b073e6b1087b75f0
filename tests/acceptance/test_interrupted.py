"""Ctrl-C and kill -9 at any moment leave whole files only; what was there before stays or is replaced whole."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from the_command import COMMAND, Done, files_in, moments, rgb, run

from stillframe.testing import Clip, barcode

#: each is work for many seconds, whose first files are there soon
STILLS = ["-o", "out/{Name}-{Count}.png", "--width", "960"]
SHEETS = [
    "-o",
    "out/{Name}-tile-{TileCount}.png",
    "--type",
    "Sprite",
    "--columns",
    "2",
    "--lines",
    "2",
    "--width",
    "1920",
]
TRACK = [
    "-o",
    "out/{Name}.vtt",
    "--type",
    "WebVtt",
    "--tiled",
    "--columns",
    "2",
    "--lines",
    "2",
    "--width",
    "1920",
]
#: 12,500 pictures of 25 seconds: more than any machine makes before it is stopped
STEP_MS = 2
EVERYTHING = ["--interval", f"{STEP_MS}ms", "--frame-type", "normal"]
INTERRUPTED = 130
KINDS = pytest.mark.parametrize("work", [STILLS, SHEETS, TRACK], ids=["stills", "sheets", "track"])


@KINDS
def test_ctrl_c_ends_it_cleanly(folder: Path, film: Clip, work: list[str]) -> None:
    done = _stop_after(2, signal.SIGINT, folder, ["movie.mp4", *work])
    assert done.code == INTERRUPTED
    assert done.out == ""
    assert re.fullmatch(r"(stillframe: interrupted\n)?", done.complaints), done.err
    _demand_whole(folder / "out", film, leftovers=False)


def test_ctrl_c_stops_every_job(folder: Path, film: Clip) -> None:
    for name in ("second.mp4", "third.mp4"):
        shutil.copy(folder / "movie.mp4", folder / name)
    done = _stop_after(
        2, signal.SIGINT, folder, ["movie.mp4", "second.mp4", "third.mp4", *STILLS, "--jobs", "2"]
    )
    assert done.code == INTERRUPTED
    assert "Traceback" not in done.err
    _demand_whole(folder / "out", film, leftovers=False)
    assert not [name for name in files_in(folder / "out") if name.startswith("third")]


@pytest.mark.parametrize("threads", ["1", "4"])
def test_ctrl_c_with_any_number_of_threads(folder: Path, film: Clip, threads: str) -> None:
    done = _stop_after(3, signal.SIGINT, folder, ["movie.mp4", *STILLS, "--threads", threads])
    assert done.code == INTERRUPTED
    assert "Traceback" not in done.err
    _demand_whole(folder / "out", film, leftovers=False)


@KINDS
def test_kill_9_leaves_whole_files(folder: Path, film: Clip, work: list[str]) -> None:
    chance = random.Random(" ".join(work))
    for _ in range(2):
        done = _stop_after(
            chance.randint(1, 4), signal.SIGKILL, folder, ["movie.mp4", *work], chance.randint(0, 30)
        )
        assert done.code == -signal.SIGKILL
        _demand_whole(folder / "out", film, leftovers=True)
        assert "movie.vtt" not in files_in(folder / "out")


def test_after_a_kill_the_same_command_makes_it_all(folder: Path, film: Clip) -> None:
    work = ["movie.mp4", *STILLS]
    assert _stop_after(3, signal.SIGKILL, folder, work).code == -signal.SIGKILL
    again = run(["snap", *work, "--width", "96", "--interval", "5"], folder)
    assert (again.code, again.complaints) == (0, "")
    for number in range(1, 6):
        picture = rgb(folder / f"out/movie-{number:05d}.png")
        assert picture.shape == (54, 96, 3)
        assert barcode.read(picture) == film.number_at((number - 1) * 5000)


def _stop_after(
    pictures: int, stop: signal.Signals, folder: Path, arguments: list[str], more_moments: int = 0
) -> Done:
    """Start the long work, send the signal once so many pictures more are there, and wait for the end."""
    before = _pictures(folder)
    with (folder / "stdout").open("w+b") as out, (folder / "stderr").open("w+b") as err:
        command = [*COMMAND, "snap", *arguments, *EVERYTHING]
        with subprocess.Popen(command, cwd=folder, stdout=out, stderr=err) as process:
            for _ in moments(process):
                if _new(before, _pictures(folder)) < pictures:
                    continue
                if more_moments:
                    more_moments -= 1
                    continue
                process.send_signal(stop)
                break
            else:
                raise AssertionError("the work was over before it was stopped; it has to be longer")
            # long before the work would have been over by itself
            for _ in moments(process, deadline_s=10):
                pass
        texts = [(folder / name).read_text() for name in ("stdout", "stderr")]
    return Done(process.returncode, *texts)


def _pictures(folder: Path) -> dict[Path, int]:
    """The finished pictures, and which file each is: a file that is replaced is another one."""
    found = {}
    for path in folder.glob("out/**/[!.]*.*g"):
        try:
            found[path] = path.stat().st_ino
        except FileNotFoundError:
            continue
    return found


def _new(before: dict[Path, int], now: dict[Path, int]) -> int:
    return sum(before.get(path) != number for path, number in now.items())


def _demand_whole(out: Path, film: Clip, *, leftovers: bool) -> None:
    """Each picture decodes to its end, and the first cell of it shows what it should."""
    names = files_in(out)
    parts = [name for name in names if name.endswith(".part")]
    assert leftovers or not parts
    whole = [name for name in names if name not in parts]
    assert whole
    for name in whole:
        picture = rgb(out / name)
        number = int(re.search(r"(\d{5})\.\w+$", name)[1]) - 1  # type: ignore[index]
        if "-tile-" in name:
            cells = barcode.read_sheet(picture, 2, picture.shape[1] // 2, picture.shape[0] // 2)
            assert cells == [film.number_at((number * 4 + cell) * STEP_MS) for cell in range(4)]
        else:
            assert barcode.read(picture) == film.number_at(number * STEP_MS)


@pytest.mark.parametrize("module", ["stillframe.cli.main", "typer", "stillframe.cli.snap"])
def test_ctrl_c_while_the_command_is_being_loaded(folder: Path, module: str) -> None:
    """A signal at that very import; the same in a whole process of its own would hit it by chance only."""
    program = (
        "import os, signal, sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from stillframe.cli.entry import main\nmain()\n"
    )
    done = run(["-c", program, "snap", "movie.mp4", "-o", "x.jpg"], folder, command=(sys.executable,))
    assert (done.code, done.out, done.err) == (INTERRUPTED, "", "stillframe: interrupted\n")
    assert "x.jpg" not in files_in(folder)
