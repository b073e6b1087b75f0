"""What is no video is refused in one line that says what it is; what is damaged gives what can be had of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from the_command import COMMAND, Done, demand_one_line, files_in, rgb, run

from stillframe.testing import boxes_edit, videos


def _named(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def _recipe(recipe: Callable[[Path], videos.Clip]) -> Callable[[Path], Path]:
    return lambda folder: recipe(folder).path


def _unknown_codec(folder: Path) -> Path:
    clip = videos.make(folder / "unknown_codec.mp4", frames=5)
    entry = "moov/trak/mdia/minf/stbl/stsd/avc1"
    clip.path.write_bytes(boxes_edit.rename(clip.path.read_bytes(), entry, "zzzz"))
    return clip.path


def _endless_table(folder: Path) -> Path:
    """One flipped bit: its table of times has two billion entries, which libav wants memory for."""
    clip = videos.make(folder / "endless_table.mp4", frames=5)
    table = "moov/trak/mdia/minf/stbl/stts"
    clip.path.write_bytes(boxes_edit.patch(clip.path.read_bytes(), table, 4, b"\x80"))
    return clip.path


def _no_pictures(folder: Path) -> Path:
    clip = videos.fragmented(folder)
    data = clip.path.read_bytes()
    (folder / "no_pictures.mp4").write_bytes(data[: boxes_edit.find(data, "moov").end])
    return folder / "no_pictures.mp4"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.mp4")
    return folder / "pipe.mp4"


def _folder(folder: Path) -> Path:
    (folder / "folder.mp4").mkdir()
    return folder / "folder.mp4"


def _dangling_link(folder: Path) -> Path:
    (folder / "link.mp4").symlink_to("gone.mp4")
    return folder / "link.mp4"


@dataclass(frozen=True, slots=True)
class Bad:
    """A file to be refused: how it is made, the reason for programs, and words of the line for people."""

    make: Callable[[Path], Path]
    reason: str | None
    words: str


NO_VIDEO: Mapping[str, Bad] = {
    "audio only m4a": Bad(_recipe(videos.audio_only), "audio-only", "no video"),
    "audio only mp4": Bad(
        _recipe(partial(videos.audio_only, suffix="mp4")), "audio-only", "sound but no video"
    ),
    "audio only mkv": Bad(
        _recipe(partial(videos.audio_only, suffix="mkv")), "audio-only", "sound but no video"
    ),
    "audio only mp3": Bad(_recipe(partial(videos.audio_only, suffix="mp3")), "audio-only", "no video"),
    "audio only wav": Bad(_recipe(partial(videos.audio_only, suffix="wav")), "audio-only", "no video"),
    "cover only": Bad(_recipe(videos.cover_only), "cover-only", "cover picture but no video"),
    "moov missing": Bad(_recipe(videos.moov_missing), "damaged", "index (moov) is missing"),
    "zero size": Bad(_recipe(videos.zero_size), "zero-size", "no width or no height"),
    "encrypted encv": Bad(_recipe(videos.encrypted), "encrypted", "encrypted"),
    "encrypted senc": Bad(
        _recipe(partial(videos.encrypted, encv=False, senc=True)), "encrypted", "encrypted"
    ),
    "encrypted encv and senc": Bad(_recipe(partial(videos.encrypted, senc=True)), "encrypted", "encrypted"),
    "empty": Bad(_recipe(partial(videos.disguised, kind="empty")), "empty", "empty (0 bytes)"),
    "text": Bad(_recipe(partial(videos.disguised, kind="text")), "not-video", "text file"),
    "html": Bad(_recipe(partial(videos.disguised, kind="html")), "not-video", "HTML page"),
    "zip": Bad(_recipe(partial(videos.disguised, kind="zip")), "not-video", "ZIP archive"),
    "jpeg": Bad(_recipe(partial(videos.disguised, kind="jpeg")), "not-video", "JPEG picture"),
    "pdf": Bad(_recipe(partial(videos.disguised, kind="pdf")), "not-video", "PDF document"),
    "ffconcat": Bad(_recipe(partial(videos.disguised, kind="ffconcat")), "playlist", "ffconcat script"),
    "sdp": Bad(_recipe(partial(videos.disguised, kind="sdp")), "playlist", "SDP session description"),
    "m3u8": Bad(_recipe(partial(videos.disguised, kind="m3u8")), "playlist", "HLS playlist"),
    "mpd": Bad(_recipe(partial(videos.disguised, kind="mpd")), "playlist", "names other files"),
    "m3u8 with a mark": Bad(_named("marked.mp4", b"\xef\xbb\xbf#EXTM3U\nx.ts\n"), "playlist", "HLS playlist"),
    "pls": Bad(_named("list.mp4", b"[playlist]\nFile1=movie.mp4\n"), "playlist", "playlist"),
    "zeros": Bad(_named("zeros.mp4", bytes(5000)), None, "video"),
    "noise": Bad(_named("noise.mp4", bytes(k * k * 7919 >> 5 & 255 for k in range(9000))), None, "video"),
    "one byte": Bad(_named("byte.mp4", b"\0"), "not-video", "zero bytes"),
    "ftyp and no more": Bad(_named("ftyp.mp4", b"\0\0\0\x10ftypisom\0\0\0\0"), "damaged", "moov"),
    "unknown codec": Bad(_unknown_codec, "unknown-codec", "codec"),
    "endless table": Bad(_endless_table, "damaged", "damaged"),
    "no pictures": Bad(_no_pictures, "no-picture", "no pictures"),
    "pipe": Bad(_pipe, None, "not a regular file"),
    "folder": Bad(_folder, None, "is a folder"),
    "missing": Bad(lambda folder: folder / "missing.mp4", None, "no such file"),
    "dangling link": Bad(_dangling_link, None, "no such file"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """What came of all the bad files, which were given to one command, and a good one after them."""

    folder: Path
    paths: dict[str, str]
    done: Done


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    folder = tmp_path_factory.mktemp("bad")
    paths = {}
    for name, bad in NO_VIDEO.items():
        made = bad.make(folder)
        paths[name] = name.replace(" ", "_") + made.suffix
        if os.path.lexists(made):
            made.rename(folder / paths[name])
    videos.make(folder / "good.mp4", frames=10)
    (folder / "out").mkdir()
    order = [*paths.values(), "good.mp4"]
    return Table(folder, paths, run(["snap", *order, "-o", "out/{Name}.jpg", "--json"], folder))


def test_every_recipe_that_must_be_refused_is_in_the_table() -> None:
    assert set(videos.REFUSED) <= set(NO_VIDEO)


@pytest.mark.parametrize("name", NO_VIDEO)
def test_no_video_is_refused_in_one_line(table: Table, name: str) -> None:
    path, bad = table.paths[name], NO_VIDEO[name]
    lines = [line for line in table.done.complaints.splitlines() if line.startswith(f"stillframe: {path}: ")]
    (report,) = (report for report in table.done.objects if report["source"] == path)
    assert not report["ok"]
    assert lines == [f"stillframe: {report['message']}"]
    assert report["message"].startswith(f"{path}: ")
    assert bad.words in report["message"]
    if bad.reason is not None:
        assert report["reason"] == bad.reason


def test_the_bad_files_leave_nothing_and_stop_nothing(table: Table) -> None:
    assert table.done.code == len(NO_VIDEO)
    assert len(table.done.complaints.splitlines()) == len(NO_VIDEO)
    assert files_in(table.folder / "out") == ["good.jpg"]
    assert rgb(table.folder / "out/good.jpg").shape == (108, 192, 3)


def test_probe_refuses_the_same_in_the_same_words(table: Table) -> None:
    probe = run(["probe", *table.paths.values(), "good.mp4"], table.folder)
    assert probe.code == len(NO_VIDEO)
    assert probe.err == table.done.complaints
    assert probe.out.startswith("good.mp4\n")


@pytest.mark.parametrize("command", [["snap", "-o", "{Name}.jpg"], ["probe"], ["lint"]], ids=" ".join)
def test_a_file_that_may_not_be_read(
    folder: Path, command: list[str], without_privileges: tuple[str, ...]
) -> None:
    (folder / "movie.mp4").rename(folder / "good.mp4")
    secret = folder / ("secret.vtt" if command == ["lint"] else "secret.mp4")
    secret.write_bytes(b"WEBVTT\n")
    secret.chmod(0)
    read = [*without_privileges, sys.executable, "-c", "import sys; open(sys.argv[1])", str(secret)]
    if subprocess.run(read, capture_output=True, check=False).returncode == 0:
        pytest.skip("the user who runs the tests may read everything")
    others = [] if command == ["lint"] else ["good.mp4"]
    done = run([*command, secret.name, *others], folder, command=(*without_privileges, *COMMAND))
    assert done.code == 1
    demand_one_line(done, f"{secret.name}: permission denied")
    if others:
        assert done.out.startswith("good.mp4")


def test_an_open_pipe_does_not_hang(folder: Path) -> None:
    """`<(command)` of a shell, with a writer at its other end."""
    reading, writing = os.pipe()
    try:
        done = subprocess.run(
            [*COMMAND, "snap", f"/dev/fd/{reading}", "-o", "x.jpg"],
            cwd=folder,
            capture_output=True,
            pass_fds=[reading],
            timeout=30,
            text=True,
            check=False,
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, f"stillframe: /dev/fd/{reading}: is not a regular file\n")
