"""The three steps with plain data between them give what `shoot` gives, whoever runs them, and in whatever order."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from stillframe import FileSource, MemorySink, SnapshotConfig, SourceError, SpriteSnapshotConfig, shoot
from stillframe.media import plan
from stillframe.media.finish import finish
from stillframe.media.render import Rendered, render
from stillframe.media.survey import Survey, survey
from stillframe.testing import Clip, videos

GRID = SpriteSnapshotConfig(columns=3, lines=2)
CONFIGS = {
    "stills": ("x-{Count}.jpg", SnapshotConfig(count=13, frame_type="normal")),
    "sheets": (
        "x-{TileCount}.png",
        SnapshotConfig(type="Sprite", count=20, width=96, sprite_snapshot_config=GRID),
    ),
    "track": (
        "x.vtt",
        SnapshotConfig(type="WebVtt", is_spt_frag=True, interval_ms=100, sprite_snapshot_config=GRID),
    ),
    "single pictures": ("x.vtt", SnapshotConfig(type="WebVtt", interval_ms=250, frame_type="normal")),
}


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    return videos.PLAYABLE["h264 open gop mp4"](tmp_path)


@pytest.mark.parametrize("name", CONFIGS)
def test_stretches_in_any_order_give_the_same(clip: Clip, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stretch rendered by itself from a survey that went through JSON, in a shuffled order."""
    template, config = CONFIGS[name]
    whole = MemorySink(template, config)
    expected = shoot(clip.path, whole, config, threads=2)
    monkeypatch.setattr(plan, "STRETCH_S", 0.0)
    with FileSource(clip.path) as source:
        made = survey(source, config)
        read = Survey.from_json(made.to_json())
        assert read == made
        assert len(read.stretches) > 2
        sink = MemorySink(template, config)
        order = list(read.stretches)
        random.Random(3).shuffle(order)
        parts = [render(read, stretch, source, sink) for stretch in order]
        parts = [msgspec.json.decode(msgspec.json.encode(part), type=Rendered) for part in parts]
        report = finish(read, parts, sink)
    assert sink.files == whole.files
    assert report.shots == expected.shots
    assert {output.name for output in report.outputs} == {output.name for output in expected.outputs}


@pytest.mark.parametrize("name", CONFIGS)
def test_one_thread_and_two_give_the_same_bytes(clip: Clip, name: str) -> None:
    template, config = CONFIGS[name]
    files = []
    for threads in (1, 2, 5):
        sink = MemorySink(template, config)
        shoot(clip.path, sink, config, threads=threads)
        files.append(sink.files)
    assert files[0] == files[1] == files[2]


def test_a_source_that_changed_is_refused(clip: Clip) -> None:
    config = SnapshotConfig(count=3)
    with FileSource(clip.path) as source:
        made = survey(source, config)
    clip.path.write_bytes(clip.path.read_bytes() + b"\0")
    with (
        FileSource(clip.path) as source,
        pytest.raises(SourceError, match="has changed since it was surveyed"),
    ):
        render(made, made.stretches[0], source, MemorySink("{Count}.png", config))


def test_a_survey_is_read_in_another_process(clip: Clip, tmp_path: Path) -> None:
    config = SnapshotConfig(count=4, frame_type="normal")
    whole = MemorySink("{Count}.jpg", config)
    shoot(clip.path, whole, config)
    with FileSource(clip.path) as source:
        (tmp_path / "survey.json").write_bytes(survey(source, config).to_json())
    (tmp_path / "out").mkdir()
    script = (
        "import sys; from pathlib import Path\n"
        "from stillframe import FileSource, FolderSink\n"
        "from stillframe.media.render import render; from stillframe.media.survey import Survey\n"
        "made = Survey.from_json(Path(sys.argv[1]).read_bytes())\n"
        "sink = FolderSink(sys.argv[3], made.config)\n"
        "with FileSource(sys.argv[2]) as source:\n"
        "    for stretch in made.stretches: render(made, stretch, source, sink)\n"
    )
    arguments = [str(tmp_path / "survey.json"), str(clip.path), str(tmp_path / "out" / "{Count}.jpg")]
    subprocess.run([sys.executable, "-c", script, *arguments], check=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == whole.files
