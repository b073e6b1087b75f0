"""`stillframe snap --sandbox` and the library's `sandbox=True`, as their users see them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import stillframe
from stillframe.media.sink import MemorySink
from stillframe.testing import Clip, videos

pytestmark = pytest.mark.usefixtures("sandbox_holds")

COMMAND = [sys.executable, "-m", "stillframe", "snap"]
DEADLINE_S = 60


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return videos.h264_pyramid(tmp_path_factory.mktemp("clip"))


def test_the_files_and_the_words_are_the_same(clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    (tmp_path / "good.mp4").write_bytes(clip.path.read_bytes())
    said, files = [], []
    for name, options in {"plain": [], "boxed": ["--sandbox"], "jobs": ["--sandbox", "--jobs", "2"]}.items():
        arguments = ["good.mp4", "bad.mp4", "-o", f"{name}/{{Name}}-{{Count}}.png", "--count", "3", "--json"]
        done = run(tmp_path, *arguments, *options)
        assert done.returncode == 1
        reports = sorted((json.loads(line) for line in done.stdout.splitlines()), key=lambda r: r["source"])
        for report in reports:
            report.pop("stats", None)
            for output in report.get("outputs", []):
                output["name"] = Path(output["name"]).name
        said.append((reports, done.stderr))
        files.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert said[1:] == said[:1] * 2
    assert files[1:] == files[:1] * 2
    assert len(files[0]) == 3


def test_a_sandbox_of_its_own_is_made_for_a_call(clip: Clip) -> None:
    config = stillframe.SnapshotConfig(type="WebVtt", interval_ms=500, width=64, is_spt_frag=True)
    plain, boxed = MemorySink("x.vtt", config), MemorySink("x.vtt", config)
    expected = stillframe.shoot(clip.path, plain, config)
    report = stillframe.shoot(clip.path, boxed, config, sandbox=True)
    assert (report.shots, report.outputs, boxed.files) == (expected.shots, expected.outputs, plain.files)


def test_ctrl_c_ends_it_and_its_processes(clip: Clip, tmp_path: Path) -> None:
    arguments = [
        str(clip.path),
        "-o",
        "x-{Count}.png",
        "--frame-type",
        "normal",
        "--interval",
        "1ms",
        "--sandbox",
    ]
    command = [*COMMAND, *arguments, "--width", "1920"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        until = time.monotonic() + DEADLINE_S
        while not list(tmp_path.glob("x-*.png")):
            assert time.monotonic() < until
            threading.Event().wait(0.01)
        below = [
            int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ]
        assert below
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert out == b""
    assert err in (b"", b"stillframe: interrupted\n")
    assert not any(Path(f"/proc/{pid}").exists() for pid in below)
    assert not list(tmp_path.glob(".*.part"))


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
