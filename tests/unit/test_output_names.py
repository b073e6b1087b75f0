"""Names of the outputs: placeholders, tracks, and which templates are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stillframe.errors import ConfigError
from stillframe.media.config import SnapshotConfig
from stillframe.media.sink import (
    FolderSink,
    Item,
    MemorySink,
    Names,
    OutputKind,
    base_folder,
    demand_placeholder,
    demand_room,
    names_for,
)

NORMAL = SnapshotConfig()
SPRITE = SnapshotConfig(type="Sprite")
WEBVTT = SnapshotConfig(type="WebVtt")


@pytest.mark.parametrize(
    ("template", "config", "kind", "index", "name"),
    [
        pytest.param("{Count}.jpg", NORMAL, "still", 1, "00001.jpg", id="five digits from 00001"),
        pytest.param("{Count}.jpg", NORMAL, "still", 20_000, "20000.jpg", id="the last shot there may be"),
        pytest.param(
            "{Count}.jpg", NORMAL, "still", 123_456, "123456.jpg", id="more digits where five are few"
        ),
        pytest.param(
            "a/b/x-{Count}-y.png", NORMAL, "still", 42, "a/b/x-00042-y.png", id="in the middle of a name"
        ),
        pytest.param("{Count}/x.jpg", NORMAL, "still", 3, "00003/x.jpg", id="in a folder"),
        pytest.param("{Count}/{Count}.jpg", NORMAL, "still", 3, "00003/00003.jpg", id="twice"),
        pytest.param("cover.jpg", NORMAL, "still", 1, "cover.jpg", id="no placeholder"),
        pytest.param(
            "{count}{}{0}%d.jpg", NORMAL, "still", 7, "{count}{}{0}%d.jpg", id="what only looks like one"
        ),
        pytest.param("s-{TileCount}.png", SPRITE, "sheet", 12, "s-00012.png", id="a sheet"),
        pytest.param("sheet.jpg", SPRITE, "sheet", 1, "sheet.jpg", id="a sheet without a placeholder"),
        pytest.param("a/x.vtt", WEBVTT, "track", 1, "a/x.vtt", id="a track"),
        pytest.param("a/x.vtt", WEBVTT, "sheet", 1, "a/x/snapshot-tile-00001.jpg", id="a track's sheet"),
        pytest.param("a/x.vtt", WEBVTT, "still", 1, "a/x/snapshot-00001.jpg", id="a track's still"),
        pytest.param("x.vtt", WEBVTT, "still", 2, "x/snapshot-00002.jpg", id="a track in no folder"),
        pytest.param(
            "/a/x.y.vtt", WEBVTT, "still", 2, "/a/x.y/snapshot-00002.jpg", id="a track with two dots"
        ),
        pytest.param(
            "a.vtt/x.vtt", WEBVTT, "sheet", 2, "a.vtt/x/snapshot-tile-00002.jpg", id="only the last .vtt"
        ),
    ],
)
def test_names(template: str, config: SnapshotConfig, kind: OutputKind, index: int, name: str) -> None:
    assert names_for(template, config).of(kind, index) == name


@pytest.mark.parametrize(
    ("template", "kind", "name"),
    [
        ("a/b/x.vtt", "sheet", "x/snapshot-tile-00001.jpg"),
        ("a/b/x.vtt", "still", "x/snapshot-00001.jpg"),
        ("x.vtt", "still", "x/snapshot-00001.jpg"),
        ("/x.vtt", "still", "x/snapshot-00001.jpg"),
        ("a b/ä #%.vtt", "still", "ä #%/snapshot-00001.jpg"),
    ],
)
def test_a_track_names_its_pictures_relative_to_itself(template: str, kind: OutputKind, name: str) -> None:
    assert names_for(template, WEBVTT).beside_track(kind, 1) == name


@pytest.mark.parametrize(
    ("template", "config", "form"),
    [
        ("x.jpg", NORMAL, "jpeg"),
        ("x.jpeg", NORMAL, "jpeg"),
        ("x.JPG", NORMAL, "jpeg"),
        ("x.png", NORMAL, "png"),
        ("{TileCount}.PNG", SPRITE, "png"),
        ("x.vtt", WEBVTT, "jpeg"),
    ],
)
def test_the_ending_says_the_format(template: str, config: SnapshotConfig, form: str) -> None:
    assert names_for(template, config).picture_format == form


@pytest.mark.parametrize(
    ("template", "config", "allowed"),
    [
        pytest.param("", NORMAL, "a file name", id="empty"),
        pytest.param("a\0b.jpg", NORMAL, "a file name", id="a NUL"),
        pytest.param("{Count}", NORMAL, "ends in .jpg, .jpeg, .png", id="no ending"),
        pytest.param("thumbs/", NORMAL, "ends in .jpg, .jpeg, .png", id="a folder"),
        pytest.param(".jpg", NORMAL, "ends in .jpg, .jpeg, .png", id="nothing but an ending"),
        pytest.param("x.gif", NORMAL, "ends in .jpg, .jpeg, .png", id="another format"),
        pytest.param("x.jpg.", NORMAL, "ends in .jpg, .jpeg, .png", id="a dot too many"),
        pytest.param("a.jpg/x", NORMAL, "ends in .jpg, .jpeg, .png", id="the folder's ending does not count"),
        pytest.param("x.vtt", NORMAL, "ends in .jpg, .jpeg, .png", id="a track for Normal"),
        pytest.param("x.vtt", SPRITE, "ends in .jpg, .jpeg, .png", id="a track for Sprite"),
        pytest.param("{TileCount}.jpg", NORMAL, "{Count}", id="the sheets' placeholder for Normal"),
        pytest.param("{Count}.jpg", SPRITE, "{TileCount}", id="the stills' placeholder for Sprite"),
        pytest.param("x.jpg", WEBVTT, ".vtt", id="a picture for WebVtt"),
        pytest.param("x.srt", WEBVTT, ".vtt", id="another track for WebVtt"),
        pytest.param("x", WEBVTT, ".vtt", id="no ending for WebVtt"),
        pytest.param("a/.vtt", WEBVTT, ".vtt", id="nothing but an ending for WebVtt"),
        pytest.param("a.vtt/", WEBVTT, ".vtt", id="a folder for WebVtt"),
    ],
)
def test_templates_that_are_refused(template: str, config: SnapshotConfig, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        names_for(template, config)

    assert (caught.value.path, caught.value.value) == ("Output", template)
    assert allowed in caught.value.allowed


@pytest.mark.parametrize(
    ("template", "config"),
    [
        pytest.param("x.jpg", SnapshotConfig(), id="Normal, nothing given"),
        pytest.param("x.jpg", SnapshotConfig(count=1), id="Normal, Count 1"),
        pytest.param("x.jpg", SnapshotConfig(count=1, interval=10), id="Normal, Count 1 and Interval"),
        pytest.param("x.jpg", SnapshotConfig(interval=0), id="Normal, Interval 0"),
        pytest.param("{Count}.jpg", SnapshotConfig(), id="Normal, though one was asked"),
        pytest.param("{Count}.jpg", SnapshotConfig(count=2), id="Normal, Count 2"),
        pytest.param("{Count}.jpg", SnapshotConfig(interval=10), id="Normal, Interval"),
        pytest.param("{TileCount}.jpg", SPRITE, id="Sprite"),
        pytest.param("x.vtt", SnapshotConfig(type="WebVtt", count=5), id="WebVtt"),
    ],
)
def test_placeholders_by_syntax(template: str, config: SnapshotConfig) -> None:
    assert demand_placeholder(names_for(template, config), config) is None


@pytest.mark.parametrize(
    ("template", "config", "allowed"),
    [
        pytest.param("x.jpg", SnapshotConfig(count=2), "{Count}", id="Normal, Count 2"),
        pytest.param("x.jpg", SnapshotConfig(interval=10), "{Count}", id="Normal, Interval"),
        pytest.param("x.jpg", SnapshotConfig(interval_ms=1), "{Count}", id="Normal, IntervalMs"),
        pytest.param("x.jpg", SPRITE, "{TileCount}", id="Sprite, always"),
        pytest.param("x.jpg", SnapshotConfig(type="Sprite", count=1), "{TileCount}", id="Sprite, Count 1"),
    ],
)
def test_placeholders_that_are_missing_by_syntax(template: str, config: SnapshotConfig, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        demand_placeholder(names_for(template, config), config)

    assert (caught.value.path, caught.value.value) == ("Output", template)
    assert allowed in caught.value.allowed


@pytest.mark.parametrize(
    ("template", "config", "kind", "files", "enough"),
    [
        pytest.param("x.jpg", NORMAL, "still", 1, True, id="one still"),
        pytest.param("x.jpg", NORMAL, "still", 0, True, id="no still"),
        pytest.param("x.jpg", NORMAL, "still", 2, False, id="two stills"),
        pytest.param("{Count}.jpg", NORMAL, "still", 2, True, id="two stills, {Count}"),
        pytest.param("x.jpg", SPRITE, "sheet", 1, True, id="one sheet"),
        pytest.param("x.jpg", SPRITE, "sheet", 2, False, id="two sheets"),
        pytest.param("{TileCount}.jpg", SPRITE, "sheet", 2, True, id="two sheets, {TileCount}"),
        pytest.param("x.vtt", WEBVTT, "sheet", 2, True, id="a track"),
    ],
)
def test_placeholders_by_the_number_of_files(
    template: str, config: SnapshotConfig, kind: OutputKind, files: int, enough: bool
) -> None:
    names = names_for(template, config)

    if enough:
        assert demand_room(names, kind, files) is None
        return
    with pytest.raises(ConfigError, match=f"{files} files") as caught:
        demand_room(names, kind, files)
    assert ("{TileCount}" if kind == "sheet" else "{Count}") in caught.value.allowed


@pytest.mark.parametrize(
    ("template", "folder"),
    [
        ("x.jpg", "."),
        ("{Count}.jpg", "."),
        ("a/b/{Count}.jpg", "a/b"),
        ("a/b-{Count}/c/x.jpg", "a"),
        ("a/{Name}/{Count}.jpg", "a"),
        ("{Name}/x.vtt", "."),
        ("/a/sheet-{TileCount}.jpg", "/a"),
        ("/x.jpg", "/"),
        ("a/{other}/x.jpg", "a/{other}"),
    ],
)
def test_the_folder_before_the_first_placeholder(template: str, folder: str) -> None:
    assert base_folder(template) == folder


@pytest.mark.parametrize("sink", ["folder", "memory"])
def test_a_sink_says_what_it_wrote(sink: str, tmp_path: Path) -> None:
    template = str(tmp_path / "{Count}.jpg")
    target: Any = FolderSink(template, NORMAL) if sink == "folder" else MemorySink(template, NORMAL)

    output = target.put(Item("still", 7, width_px=160, height_px=90), b"the picture")

    name = str(tmp_path / "00007.jpg")
    assert (output.kind, output.index, output.name, output.size_bytes) == ("still", 7, name, 11)
    assert (output.width_px, output.height_px) == (160, 90)
    written = (tmp_path / "00007.jpg").read_bytes() if sink == "folder" else target.files[name]
    assert written == b"the picture"


def test_names_are_values() -> None:
    assert names_for("a.vtt", WEBVTT) == Names("a.vtt", track=True)
