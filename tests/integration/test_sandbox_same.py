"""The sandbox changes nothing: the same pictures, reports and refusals, to the byte, and nothing loaded late."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sample_references import MEDIA

import stillframe
from clips import RECIPES, MadeClip
from stillframe import (
    ChildKilled,
    ConfigError,
    FileSource,
    MemorySink,
    MemorySource,
    SnapshotConfig,
    SpriteSnapshotConfig,
    StillframeError,
)
from stillframe.media import plan
from stillframe.media.config import Caps
from stillframe.media.describe import describe
from stillframe.media.finish import finish
from stillframe.media.render import render
from stillframe.media.source import ByteSource
from stillframe.media.survey import survey
from stillframe.sandbox.check import Broken, checked_survey
from stillframe.sandbox.decoder import Decoder, Described, Work
from stillframe.sandbox.parent import Sandbox
from stillframe.sandbox.unlocked import Unlocked
from stillframe.sandbox.wire import SOURCE_IDENTITY, SOURCE_NAME

pytestmark = pytest.mark.usefixtures("sandbox_holds")

GRID = SpriteSnapshotConfig(columns=2, lines=2, padding=1)
CONFIGS = [
    ("x-{Count}.jpg", SnapshotConfig(count=5, frame_type="normal", black_level=30, black_scope="every")),
    ("x-{Count}.png", SnapshotConfig(count=3, frame_type="normal", width=120)),
    (
        "x.vtt",
        SnapshotConfig(
            type="WebVtt", interval_ms=200, width=64, is_spt_frag=True, sprite_snapshot_config=GRID
        ),
    ),
    (
        "x-{TileCount}.jpg",
        SnapshotConfig(type="Sprite", count=6, width=64, quality=95, sprite_snapshot_config=GRID),
    ),
    ("x-{Count}.jpg", SnapshotConfig(count=9, keyframe_miss="skip", width=64)),
]
#: of the generated videos one in so many runs by default, and of the samples the smallest of so many folders
ONE_IN = 3
MOST_BYTES_BY_DEFAULT = 500_000
FULL = (pytest.mark.full,)

Came = tuple[object, ...]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with Sandbox(entry="sandbox_watched:run") as made:
        yield made


def recipes() -> list[object]:
    return [
        pytest.param(number, name, id=name, marks=FULL if number % ONE_IN else ())
        for number, name in enumerate(RECIPES)
    ]


def samples() -> list[object]:
    files = sorted(path for path in MEDIA.glob("*/*") if path.is_file()) if MEDIA.is_dir() else []
    smallest = {path.parent: path for path in sorted(files, key=lambda path: -path.stat().st_size)}
    small = [path for path in smallest.values() if path.stat().st_size <= MOST_BYTES_BY_DEFAULT]
    chosen = set(sorted(small)[::ONE_IN])
    return [
        pytest.param(path, number, id=str(path.relative_to(MEDIA)), marks=() if path in chosen else FULL)
        for number, path in enumerate(files)
    ]


@pytest.mark.parametrize(("number", "name"), recipes())
def test_a_generated_video_gives_the_same(box: Sandbox, made_clip: MadeClip, number: int, name: str) -> None:
    demand_the_same(box, made_clip(name).path, number)


@pytest.mark.parametrize(("path", "number"), samples())
def test_a_sample_gives_the_same(box: Sandbox, path: Path, number: int) -> None:
    demand_the_same(box, path, number)


@pytest.mark.parametrize("name", ["av1", "hdr pq", "hevc open gop ts"])
@pytest.mark.parametrize("number", range(len(CONFIGS)))
def test_each_config_gives_the_same(box: Sandbox, made_clip: MadeClip, name: str, number: int) -> None:
    demand_the_same(box, made_clip(name).path, number)


@pytest.mark.parametrize("number", range(len(CONFIGS)))
def test_stretch_by_stretch_it_is_the_same(
    box: Sandbox, made_clip: MadeClip, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps as the service takes them: a child for the survey, and one for each stretch, in any order."""
    template, config = CONFIGS[number]
    path = made_clip("h264 pyramid").path
    # a child would cut by its own estimate: so the survey is made here, and rendered there
    monkeypatch.setattr(plan, "STRETCH_S", 0.0)
    with FileSource(path) as source:
        found = survey(source, config)
        expected = MemorySink(template, config)
        parts = [render(found, stretch, source, expected) for stretch in found.stretches]
        report = finish(found, parts, expected)
        sink = MemorySink(template, config)
        order = list(reversed(found.stretches))
        rendered = [box.render(found, stretch, source, sink) for stretch in order]
        again = finish(found, rendered, sink)
    assert sink.files == expected.files
    assert again.shots == report.shots
    assert {output.name for output in again.outputs} == {output.name for output in report.outputs}


def test_a_survey_is_the_same_and_says_whose_it_is(box: Sandbox, made_clip: MadeClip) -> None:
    path = made_clip("h264 pyramid").path
    config = SnapshotConfig(count=5)
    with FileSource(path) as source:
        assert box.survey(source, config) == survey(source, config)


def test_what_it_costs_is_counted(box: Sandbox, made_clip: MadeClip) -> None:
    config = SnapshotConfig(count=5, frame_type="normal")
    data = made_clip("h264 pyramid").path.read_bytes()
    plain = stillframe.shoot(MemorySource(data), MemorySink("x-{Count}.jpg", config), config, threads=1)
    boxed = stillframe.shoot(
        MemorySource(data), MemorySink("x-{Count}.jpg", config), config, threads=1, sandbox=box
    )
    for counted in ("packets_read", "packets_decoded", "frames_decoded", "decode_errors"):
        assert getattr(boxed.stats, counted) == getattr(plain.stats, counted)
    assert boxed.stats.bytes_read > 0
    assert boxed.stats.reads > 0
    assert set(boxed.stats.seconds) >= {"survey", "decode", "develop", "encode", "write", "wall"}


def test_progress_is_told(box: Sandbox, made_clip: MadeClip) -> None:
    config = SnapshotConfig(count=5, frame_type="normal")
    told: list[object] = []
    report = stillframe.shoot(
        made_clip("h264 pyramid").path,
        MemorySink("x-{Count}.jpg", config),
        config,
        sandbox=box,
        on_survey=lambda survey: told.append(survey.planned),
        on_shot=told.append,
    )
    assert told[0] == 5
    assert sorted(told[1:], key=lambda shot: shot.index) == list(report.shots)  # type: ignore[attr-defined]


def test_a_template_without_room_is_refused_before_anything_is_decoded(
    box: Sandbox, made_clip: MadeClip
) -> None:
    config = SnapshotConfig(count=5)
    sink = MemorySink("x.jpg", config)
    with pytest.raises(stillframe.ConfigError, match="5 files"):
        stillframe.shoot(made_clip("h264 pyramid").path, sink, config, sandbox=box)
    assert sink.files == {}


def demand_the_same(box: Sandbox, path: Path, number: int) -> None:
    """With and without the sandbox: one thread and two, an open file and bytes that are asked for, by turns."""
    threads, as_bytes = 1 + number % 2, number // 2 % 2 == 0
    expected = came(path, number, as_bytes=as_bytes, threads=threads, box=None)
    assert came(path, number, as_bytes=as_bytes, threads=threads, box=box) == expected
    here = describe if number % 5 else Unlocked().describe
    assert described(path, box.describe, as_bytes=as_bytes) == described(path, here, as_bytes=as_bytes)


def described(path: Path, by: Callable[[ByteSource], object], *, as_bytes: bool) -> Came | object:
    """What is said to be in a file."""
    source: ByteSource = MemorySource(path.read_bytes(), str(path)) if as_bytes else FileSource(path)
    try:
        told = by(source)
    except StillframeError as error:
        return type(error), str(error)
    finally:
        source.close()
    return told.facts if isinstance(told, Described) else told


def came(path: Path, number: int, *, as_bytes: bool, threads: int, box: Sandbox | None) -> Came:
    """All that a user sees."""
    template, config = CONFIGS[number % len(CONFIGS)]
    sink = MemorySink(template, config)
    source: ByteSource = MemorySource(path.read_bytes(), str(path)) if as_bytes else FileSource(path)
    try:
        report = stillframe.shoot(source, sink, config, threads=threads, sandbox=box or False)
    except StillframeError as error:
        return type(error), str(error), vars(error), sink.files
    finally:
        source.close()
    return (
        *(report.shots, report.outputs, report.notes, report.ok, report.code, report.message),
        *(report.duration_ms, report.sheet, sink.files),
    )


DECODERS: dict[str, Callable[[], Decoder]] = {"locked in": Sandbox, "unlocked": Unlocked}


@pytest.mark.parametrize("name", DECODERS)
def test_whoever_decodes_gives_what_media_gives(made_clip: MadeClip, name: str) -> None:
    template, config = "x-{Count}.jpg", SnapshotConfig(count=4, width=64)
    expected = MemorySink(template, config)
    with FileSource(made_clip("h264 pyramid").path) as source, DECODERS[name]() as decoder:
        found = survey(source, config)
        made = render(found, found.stretches[0], source, expected)
        assert decoder.survey(source, config) == found
        sinks = [MemorySink(template, config), MemorySink(template, config)]
        at_once = decoder.survey_and_render(source, config, sinks[0])
        apart = decoder.render(found, found.stretches[0], source, sinks[1], Work(threads=2))
        assert at_once.survey == found
        assert at_once.rendered is not None
        for rendered, sink in zip([at_once.rendered, apart], sinks, strict=True):
            assert (rendered.shots, rendered.outputs) == (made.shots, made.outputs)
            assert sink.files == expected.files
        for stats in (at_once.stats, apart.stats):
            assert min(stats.reads, stats.bytes_read, stats.frames_decoded) > 0


CAPPED: dict[str, Callable[[Caps], Decoder]] = {
    "locked in": lambda caps: Sandbox(caps=caps),
    "unlocked": Unlocked,
}


@pytest.mark.parametrize("name", CAPPED)
def test_whoever_decodes_keeps_to_what_the_operator_allows(made_clip: MadeClip, name: str) -> None:
    template, config = "x-{TileCount}.jpg", SnapshotConfig(type="Sprite", count=12, width=64)
    sink = MemorySink(template, config)
    with (
        FileSource(made_clip("h264 pyramid").path) as source,
        CAPPED[name](Caps(shots=12, sheet_side_px=200, sheet_pixels=20_000)) as decoder,
    ):
        found = decoder.survey_and_render(source, config, sink)
        sheet = found.survey.sheet
        assert sheet is not None
        assert max(sheet.width_px, sheet.height_px) <= 200
        assert sheet.width_px * sheet.height_px <= 20_000
        assert len(sink.files) == -(-12 // sheet.cells) > 1
        with pytest.raises(ConfigError, match="at most 12 shots"):
            decoder.survey(source, replace(config, count=None, interval=None, interval_ms=10))
        with pytest.raises(ConfigError, match="at most 200 px a side and 20,000 pixels"):
            decoder.survey(source, replace(config, width=201))


def test_a_child_that_makes_larger_sheets_than_allowed_is_not_believed(made_clip: MadeClip) -> None:
    config = SnapshotConfig(type="Sprite", count=12, width=64)
    with FileSource(made_clip("h264 pyramid").path) as source:
        found = survey(source, config)
        told = replace(found, probe=replace(found.probe, source=SOURCE_NAME, identity=SOURCE_IDENTITY))
        assert checked_survey(told, config, Caps(), source.size) == told
        with pytest.raises(Broken, match="does not follow from its config"):
            checked_survey(told, config, Caps(sheet_side_px=200), source.size)


@pytest.mark.parametrize("name", DECODERS)
def test_whoever_decodes_stops_when_nobody_wants_it(made_clip: MadeClip, name: str) -> None:
    config = SnapshotConfig(count=4, width=64)
    sink = MemorySink("x-{Count}.jpg", config)
    cancelled = threading.Event()
    seen: list[object] = []

    def first(shot: object) -> None:
        seen.append(shot)
        cancelled.set()

    with FileSource(made_clip("h264 pyramid").path) as source, DECODERS[name]() as decoder:
        with pytest.raises(ChildKilled) as killed:
            decoder.survey_and_render(source, config, sink, Work(on_shot=first, cancelled=cancelled))
        assert killed.value.reason == "cancelled"
        assert len(seen) == 1
        with pytest.raises(ChildKilled):
            decoder.survey(source, config, Work(cancelled=cancelled))
