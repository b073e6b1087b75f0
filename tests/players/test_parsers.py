"""Real players' own parsers read our tracks as we meant them, and stumble where the lint says that they do.

The players come from npm: `npm ci` in this folder, then `pytest -m players tests/players`. `parse_track.mjs`
runs their published code in Node; nothing of theirs is rewritten there.
"""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from stillframe.media.tracks.lint import RULES, lint
from stillframe.media.tracks.webvtt import Cue, cue_spans, write

HERE = Path(__file__).parent
#: the folder where parse_track.mjs lets the track lie
BASE = "https://videos.test/shows/"
VALIDATORS = ("webvtt-parser", "media-captions")
PLAYERS = ("videojs-vtt-thumbnails", "Plyr", "Vidstack", "ArtPlayer", "Media Chrome")

pytestmark = [
    pytest.mark.players,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (HERE / "node_modules").is_dir(), reason="the players are not installed: npm ci in tests/players"
    ),
]

Reading = dict[str, Any]


def _samples() -> Any:
    """The broken tracks of the lint's own tests."""
    spec = importlib.util.spec_from_file_location("lint_samples", HERE.parent / "unit/lint_samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _read_by_players(tmp_path: Path, tracks: list[bytes]) -> list[dict[str, Reading]]:
    files = [tmp_path / f"{number}.vtt" for number in range(len(tracks))]
    for file, data in zip(files, tracks, strict=True):
        file.write_bytes(data)
    done = subprocess.run(
        ["node", HERE / "parse_track.mjs", *files], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return [report["players"] for report in json.loads(done.stdout)]


def _sprite_cues(stem: str) -> list[Cue]:
    """Two hours, a picture every 7 s, in sheets of 10x10 in a folder beside the track."""
    moments = list(range(0, 7_200_000, 7000))
    present = [position % 50 != 13 for position in range(len(moments))]
    spans = cue_spans(moments, present, interval_ms=7000, duration_ms=7_200_480, runs_to_end=True)
    cues = []
    for cell, (_, start_ms, end_ms) in enumerate(spans):
        sheet, place = divmod(cell, 100)
        url = f"{stem}/snapshot-tile-{sheet + 1:05d}.jpg"
        cues.append(Cue(start_ms, end_ms, url, place % 10 * 160, place // 10 * 90, 160, 90))
    return cues


def _still_cues(stem: str) -> list[Cue]:
    return [
        Cue(k * 1000, k * 1000 + 1000, f"{stem}/snapshot-{k + 1:05d}.jpg", 0, 0, 1920, 1080)
        for k in range(90)
    ]


TRACKS = {
    "sprite": _sprite_cues("movie"),
    "odd names": _sprite_cues("naïve – vidéo #1"),
    "odder names": _still_cues('50% off? ("it\'s" 12:30, a&b) <日本> 🎬 [x] {y} ^`|~+=@!*;\\$'),
    "a name like an address": _still_cues("http:x"),
    "the deep end": [Cue(0, 359_999_000, "a/b/c/d e/../f.jpg", 0, 0, 16, 9)],
}


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Reading]]:
    tracks = [write(cues).encode() for cues in TRACKS.values()]
    return dict(zip(TRACKS, _read_by_players(tmp_path_factory.mktemp("tracks"), tracks), strict=True))


@pytest.mark.parametrize("player", [*VALIDATORS, *PLAYERS])
@pytest.mark.parametrize("track", TRACKS)
def test_every_player_reads_our_track_as_we_meant_it(
    readings: dict[str, dict[str, Reading]], track: str, player: str
) -> None:
    reading = readings[track][player]
    assert "error" not in reading
    assert [_as_cue(cue) for cue in reading["cues"]] == [
        Cue(cue.start_ms, cue.end_ms, _walked(cue.url), cue.x, cue.y, cue.width, cue.height)
        for cue in TRACKS[track]
    ]


def _as_cue(cue: dict[str, Any]) -> Cue:
    """What a web server makes of the address that the player asks for, and of the times."""
    assert cue["url"].startswith(BASE)
    name = unquote(cue["url"].removeprefix(BASE), errors="strict")
    start_ms, end_ms = (round(cue[edge] * 1000) for edge in ("start", "end"))
    return Cue(start_ms, end_ms, name, *(cue[side] for side in "xywh"))


def _walked(url: str) -> str:
    """The browser takes `..` out of an address."""
    return url.replace("/d e/..", "")


def test_below_a_second_the_players_of_the_sub_second_rule_cut_and_the_others_do_not(tmp_path: Path) -> None:
    cues = [Cue(k * 400, k * 400 + 400, "m/a.jpg", 0, 0, 160, 90) for k in range(20)]
    track = write(cues).encode()
    (cutters,) = {finding.players for finding in lint(track)}
    (readings,) = _read_by_players(tmp_path, [track])
    for player in PLAYERS:
        starts = [cue["start"] for cue in readings[player]["cues"]]
        exact = [cue.start_ms / 1000 for cue in cues]
        assert starts == ([math.floor(start) for start in exact] if player in cutters else exact), player


def test_the_lint_names_the_players_that_stumble_and_no_others(tmp_path: Path) -> None:
    """For every broken track whose meaning is known: who reads something else than was meant?

    Each must be named by the rule, and each that is named must stumble over one of the rule's samples.
    """
    samples = [sample for sample in _samples().SAMPLES if sample.meant is not None]
    readings = _read_by_players(tmp_path, [sample.data for sample in samples])
    meanings = _read_by_players(tmp_path, [sample.meant.encode() for sample in samples])
    rules = {rule.slug: rule for rule in RULES}
    stumbled: dict[str, set[str]] = {sample.slug: set() for sample in samples}
    for sample, reading, meaning in zip(samples, readings, meanings, strict=True):
        meant = meaning["webvtt-parser"]
        assert "error" not in meant, sample.slug
        hurt = {player for player in PLAYERS if reading[player] != meant}
        assert hurt <= set(rules[sample.slug].players), (sample.slug, sample.line)
        stumbled[sample.slug] |= hurt
    named = {slug: set(rules[slug].players) & set(PLAYERS) for slug in stumbled}
    assert stumbled == named
    assert len(stumbled) >= 30
