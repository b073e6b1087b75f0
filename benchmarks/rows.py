"""The rows of the benchmark: what is made from which video, by whom, and what Stillframe has to reach."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import peers
from catalogue import GOP50_HOUR, GOP50_TEN_MINUTES, GOP250_HOUR, LongFile
from goals import Goal, at_most_longer, at_most_times, faster_than, peak_below, peaks_alike, within
from measure import Contestant
from outputs import Cues, Expectation, Pictures

STILLFRAME, FLOOR = "Stillframe", "the floor"
KEYFRAME_PASS, FPS_PASS = "ffmpeg -skip_frame nokey, one pass", "ffmpeg fps filter, one pass"
PER_SHOT, PER_SHOT_BEST = "one ffmpeg per shot", "one ffmpeg per shot, at its best"
FFMPEG, THUMBNAILER, VCSI = "ffmpeg", "ffmpegthumbnailer", "vcsi"
CELL, SHEET, FULL_SIZE = (160, 90), (1600, 900), (1920, 1080)  # width and height in pixels


@dataclass(frozen=True, slots=True)
class Setup:
    """Where the videos lie, how Stillframe and vcsi are called, and how many threads (or processes) work."""

    cache: Path
    stillframe: tuple[str, ...]
    vcsi: str
    threads: int


@dataclass(frozen=True, slots=True)
class Shots:
    """Evenly spaced moments, and what is wanted there: the "keyframe" nearest by or the "exact" frame."""

    pick: str
    count: int = 1
    first_ms: int = 0
    step_ms: int = 0

    @property
    def moments_ms(self) -> list[int]:
        """The moments in milliseconds."""
        return [self.first_ms + index * self.step_ms for index in range(self.count)]


@dataclass(frozen=True, slots=True)
class Row:
    """One piece of work and the contestants that do it; ratios are to the first one's wall time."""

    name: str
    title: str
    video: LongFile
    contestants: tuple[Contestant, ...]
    goals: tuple[Goal, ...]


def all_rows(setup: Setup) -> list[Row]:
    """Every row of the benchmark, without the peers that are not installed."""
    return [
        keyframe_sheet(setup),
        exact_sheet(setup),
        second_by_second(setup),
        full_size_stills(setup),
        keyframe_still(setup),
        # 5, 50 and 90 % of the hour are keyframes of its video: a gift. So the moments lie a quarter, a half and the
        # whole of a GOP later, the last one on the very last frame that the keyframe leads to.
        exact_still(setup, "5 %", 180_000 + 2_480),
        exact_still(setup, "50 %", 1_800_000 + 4_960),
        exact_still(setup, "90 %", 3_240_000 + 9_960),
        memory(setup, "keyframe"),
        memory(setup, "exact"),
    ]


def keyframe_sheet(setup: Setup) -> Row:
    """100 keyframe cells of an hour as one sheet and a WebVTT track."""
    video, shots = GOP250_HOUR, Shots("keyframe", count=100, step_ms=36_000)
    path = video.path(setup.cache)
    cells, sheet = Pictures("*.jpg", 100, *CELL), Pictures("sheet.jpg", 1, *SHEET)
    return Row(
        "keyframe-sheet",
        "100 keyframe cells of 160 px, one 10x10 sheet and VTT, 60 min, GOP 250",
        video,
        (
            _stillframe(
                setup,
                video,
                "film.vtt",
                "--type WebVtt --tiled --count 100 --width 160",
                Pictures("film/*.jpg", 1, *SHEET),
                Cues("film.vtt", 100),
            ),
            _floor(setup, video, shots),
            *_peer(
                KEYFRAME_PASS, "ffmpeg", lambda out: peers.ffmpeg_keyframe_pass(path, out, 36, 160), sheet
            ),
            *_peer(
                PER_SHOT,
                "ffmpeg",
                lambda out: peers.ffmpeg_script_per_shot(path, out, shots.moments_ms, 160),
                cells,
                at_once=setup.threads,
                most_runs=2,
            ),
            *_peer(
                PER_SHOT_BEST,
                "ffmpeg",
                lambda out: peers.ffmpeg_keyframe_per_shot(path, out, shots.moments_ms, 160),
                cells,
                at_once=setup.threads,
            ),
            *_peer(
                THUMBNAILER,
                "ffmpegthumbnailer",
                lambda out: peers.ffmpegthumbnailer_per_shot(path, out, shots.moments_ms, 160),
                cells,
                at_once=setup.threads,
            ),
            *_peer(
                VCSI, setup.vcsi, lambda out: peers.vcsi_sheet(setup.vcsi, path, out, 160), sheet, most_runs=2
            ),
        ),
        (
            at_most_times(STILLFRAME, FLOOR, 1.15),
            faster_than(STILLFRAME, KEYFRAME_PASS, 8),
            faster_than(STILLFRAME, PER_SHOT, 9),
        ),
    )


def exact_sheet(setup: Setup) -> Row:
    """100 exact cells of an hour. They start at 2 s, so that they spread evenly over the places in a GOP."""
    video, shots = GOP50_HOUR, Shots("exact", count=100, first_ms=2_000, step_ms=35_980)
    path = video.path(setup.cache)
    return Row(
        "exact-sheet",
        "100 exact cells of 160 px, one 10x10 sheet, 60 min, GOP 50",
        video,
        (
            _stillframe(
                setup,
                video,
                "sheet-{TileCount}.jpg",
                "--type Sprite --frame-type normal --count 100 --time 2s --width 160",
                Pictures("sheet-*.jpg", 1, *SHEET),
            ),
            _floor(setup, video, shots),
            *_peer(
                PER_SHOT,
                "ffmpeg",
                lambda out: peers.ffmpeg_script_per_shot(path, out, shots.moments_ms, 160),
                Pictures("*.jpg", 100, *CELL),
                at_once=setup.threads,
            ),
            *_peer(
                PER_SHOT_BEST,
                "ffmpeg",
                lambda out: peers.ffmpeg_exact_per_shot(path, out, shots.moments_ms, 160),
                Pictures("*.jpg", 100, *CELL),
                at_once=setup.threads,
                most_runs=3,
            ),
        ),
        (at_most_times(STILLFRAME, FLOOR, 1.15), faster_than(STILLFRAME, PER_SHOT, 3.3)),
    )


def second_by_second(setup: Setup) -> Row:
    """600 exact cells, one a second."""
    video, shots = GOP50_TEN_MINUTES, Shots("exact", count=600, step_ms=1_000)
    path = video.path(setup.cache)
    sheets = Pictures("sheet-*.jpg", 6, *SHEET)
    return Row(
        "second-by-second",
        "600 exact cells of 160 px, one a second, six 10x10 sheets, 10 min, GOP 50",
        video,
        (
            _stillframe(
                setup,
                video,
                "sheet-{TileCount}.jpg",
                "--type Sprite --frame-type normal --interval 1 --width 160",
                sheets,
            ),
            _floor(setup, video, shots),
            *_peer(
                FPS_PASS, "ffmpeg", lambda out: peers.ffmpeg_fps_pass(path, out, 160), sheets, most_runs=3
            ),
        ),
        (faster_than(STILLFRAME, FPS_PASS, 1.6),),
    )


def full_size_stills(setup: Setup) -> Row:
    """20 exact stills of an hour. They start at 10 s, so that they spread evenly over the places in a GOP."""
    video, shots = GOP250_HOUR, Shots("exact", count=20, first_ms=10_000, step_ms=179_500)
    path = video.path(setup.cache)
    stills = Pictures("*.jpg", 20, *FULL_SIZE)
    return Row(
        "full-size-stills",
        "20 exact full-size JPEG stills, 60 min, GOP 250",
        video,
        (
            _stillframe(setup, video, "{Count}.jpg", "--frame-type normal --count 20 --time 10s", stills),
            _floor(setup, video, shots),
            *_peer(
                PER_SHOT,
                "ffmpeg",
                lambda out: peers.ffmpeg_script_per_shot(path, out, shots.moments_ms, None),
                stills,
                at_once=setup.threads,
            ),
        ),
        (at_most_times(STILLFRAME, FLOOR, 1.2),),
    )


def keyframe_still(setup: Setup) -> Row:
    """One full-size keyframe still of an hour, the process's start included."""
    video, shots = GOP250_HOUR, Shots("keyframe", first_ms=1_234_500)
    path = video.path(setup.cache)
    still = Pictures("*.jpg", 1, *FULL_SIZE)
    return Row(
        "keyframe-still",
        "one full-size keyframe still, new process, 60 min, GOP 250",
        video,
        (
            _stillframe(setup, video, "still.jpg", "--count 1 --time 1234.5s", still),
            _floor(setup, video, shots),
            *_peer(
                FFMPEG,
                "ffmpeg",
                lambda out: peers.ffmpeg_keyframe_per_shot(path, out, shots.moments_ms, None),
                still,
            ),
            *_peer(
                THUMBNAILER,
                "ffmpegthumbnailer",
                lambda out: peers.ffmpegthumbnailer_per_shot(path, out, shots.moments_ms, None),
                still,
            ),
        ),
        (within(STILLFRAME, 0.5),),
    )


def exact_still(setup: Setup, place: str, moment_ms: int) -> Row:
    """One exact full-size still of an hour, the process's start included."""
    video, shots = GOP250_HOUR, Shots("exact", first_ms=moment_ms)
    path = video.path(setup.cache)
    still = Pictures("*.jpg", 1, *FULL_SIZE)
    return Row(
        f"exact-still-{place.split()[0]}",
        f"one exact full-size still near {place} ({moment_ms / 1000:.2f} s), new process, 60 min, GOP 250",
        video,
        (
            _stillframe(
                setup, video, "still.jpg", f"--frame-type normal --count 1 --time {moment_ms}ms", still
            ),
            _floor(setup, video, shots),
            *_peer(
                FFMPEG,
                "ffmpeg",
                lambda out: peers.ffmpeg_exact_per_shot(path, out, shots.moments_ms, None),
                still,
            ),
        ),
        (at_most_longer(STILLFRAME, FLOOR, 0.35),),
    )


def memory(setup: Setup, pick: str) -> Row:
    """The same work with 100 and with 2,000 shots of an hour, all of one kind.

    From 2 s on, since at 0 the 100 would be keyframes; and the nearest keyframe at any distance, since with so many
    shots some have none near and would be decoded exactly.
    """
    video = GOP50_HOUR
    few, many = f"{STILLFRAME}, 100 shots", f"{STILLFRAME}, 2,000 shots"
    how = "intra --keyframe-miss nearest" if pick == "keyframe" else "normal"
    template = "sheet-{TileCount}.jpg"
    arguments = f"--type Sprite --frame-type {how} --time 2s --width 160"

    def contestant(name: str, count: int, most_runs: int) -> Contestant:
        sheets = Pictures("sheet-*.jpg", count // 100, *SHEET)
        return _stillframe(
            setup, video, template, f"{arguments} --count {count}", sheets, name=name, most_runs=most_runs
        )

    return Row(
        f"memory-{pick}",
        f"peak memory of 100 and of 2,000 {pick} cells of 160 px, 1080p, 60 min, GOP 50",
        video,
        (
            contestant(few, 100, most_runs=3),
            contestant(many, 2_000, most_runs=3 if pick == "keyframe" else 1),
        ),
        (peak_below(few, 200), peak_below(many, 200), peaks_alike(few, many, 0.10)),
    )


def _stillframe(
    setup: Setup,
    video: LongFile,
    template: str,
    arguments: str,
    *expects: Expectation,
    name: str = STILLFRAME,
    most_runs: int = 99,
) -> Contestant:
    path, options = (
        str(video.path(setup.cache)),
        [*arguments.split(), "--threads", str(setup.threads), "--json"],
    )
    return Contestant(
        name,
        lambda out: [[*setup.stillframe, "snap", path, "-o", str(out / template), *options]],
        expects,
        most_runs=most_runs,
    )


def _floor(setup: Setup, video: LongFile, shots: Shots) -> Contestant:
    command = [sys.executable, str(Path(__file__).with_name("floor.py")), str(video.path(setup.cache))]
    command += ["--gop", str(video.gop_frames), "--pick", shots.pick, "--count", str(shots.count)]
    command += ["--first-ms", str(shots.first_ms), "--step-ms", str(shots.step_ms)]
    return Contestant(FLOOR, lambda _: [[*command, "--threads", str(setup.threads)]])


def _peer(
    name: str,
    tool: str,
    commands: Callable[[Path], list[list[str]]],
    expects: Expectation,
    at_once: int = 1,
    most_runs: int = 99,
) -> list[Contestant]:
    """The contestant in a list, or an empty list if `tool` is not installed."""
    if shutil.which(tool) is None:
        return []
    return [Contestant(name, commands, (expects,), at_once, most_runs)]
