"""Each thing that a user can do with the command, in the words of the README."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import the_command
from ready_command import run
from the_command import Done, demand_one_line, files_in, rgb

from hls import cut
from stillframe.testing import Clip, barcode

#: what a line about a finished video looks like
LINE = (
    r"(?P<source>.+): (?P<made>.+) in \d+\.\d\d s"
    r"(?:, [\d.]+ [KM]iB of [\d.]+ [KM]iB read \(\d+\.\d%\)(?: in \d+ requests)?)?: (?P<where>.+)"
)
USAGE = 64


def line_of(done: Done) -> dict[str, str]:
    """The parts of the one line that is printed about one video when nothing is wrong."""
    assert (done.code, done.complaints) == (0, "")
    match = re.fullmatch(LINE, done.out.rstrip("\n"))
    assert match, done.out
    return match.groupdict()


def number_in(path: Path) -> int:
    return barcode.read(rgb(path))


def test_five_stills_evenly_spread(folder: Path) -> None:
    done = run("snap movie.mp4 -o 'thumbs/{Count}.jpg' --count 5", folder)
    assert line_of(done) == {
        "source": "movie.mp4",
        "made": "5 stills of 192x108",
        "where": "thumbs/00001.jpg … thumbs/00005.jpg",
    }
    assert files_in(folder / "thumbs") == [f"0000{number}.jpg" for number in range(1, 6)]
    assert [number_in(folder / f"thumbs/0000{k}.jpg") for k in range(1, 6)] == [0, 25, 50, 75, 100]


def test_the_exact_frame_at_a_time(folder: Path, film: Clip) -> None:
    done = run("snap movie.mp4 -o cover.jpg --time 12.5s --frame-type normal", folder)
    assert line_of(done) == {"source": "movie.mp4", "made": "1 still of 192x108", "where": "cover.jpg"}
    assert files_in(folder) == ["cover.jpg", "movie.mp4"]
    assert number_in(folder / "cover.jpg") == film.number_at(12_500) == 62
    assert 62 not in film.keyframe_numbers


def test_a_sprite_sheet(folder: Path) -> None:
    done = run(
        "snap movie.mp4 -o 'sheet-{TileCount}.jpg' --type Sprite --interval 10 --width 160 --columns 10 --lines 10",
        folder,
    )
    assert line_of(done)["made"] == "1 sheet of 1600x900"
    assert files_in(folder) == ["movie.mp4", "sheet-00001.jpg"]
    cells = barcode.read_sheet(rgb(folder / "sheet-00001.jpg"), 10, 160, 90)
    assert cells == [0, 50, 100, *[None] * 97]


def test_a_track(folder: Path) -> None:
    done = run("snap movie.mp4 -o thumbs/movie.vtt --type WebVtt --tiled --interval 10 --width 160", folder)
    assert line_of(done) | {"source": ""} == {
        "source": "",
        "made": "a track and 1 sheet of 1600x900",
        "where": "thumbs/movie.vtt",
    }
    assert files_in(folder / "thumbs") == ["movie.vtt", "movie/snapshot-tile-00001.jpg"]
    cues = (folder / "thumbs/movie.vtt").read_text().split("\n\n")
    assert cues[0] == "WEBVTT"
    assert [cue.strip() for cue in cues[1:]] == [
        "00:00:00.000 --> 00:00:10.000\nmovie/snapshot-tile-00001.jpg#xywh=0,0,160,90",
        "00:00:10.000 --> 00:00:20.000\nmovie/snapshot-tile-00001.jpg#xywh=160,0,160,90",
        "00:00:20.000 --> 00:00:25.000\nmovie/snapshot-tile-00001.jpg#xywh=320,0,160,90",
    ]
    sheet = rgb(folder / "thumbs/movie/snapshot-tile-00001.jpg")
    assert barcode.read_sheet(sheet, 10, 160, 90)[:3] == [0, 50, 100]
    lint = run("lint thumbs/movie.vtt", folder)
    assert (lint.code, lint.err) == (0, "")
    assert lint.out == "thumbs/movie.vtt: every player we know reads it\n"
    assert run("lint thumbs/movie.vtt --json", folder) == Done(0, "", "")


def test_a_playlist(folder: Path, film: Clip) -> None:
    cut(film, folder / "hls/index.m3u8", "fmp4", seconds=5)
    done = run("snap hls/index.m3u8 -o '{Name}-{Count}.jpg' --count 3 --frame-type normal", folder)
    assert line_of(done)["made"] == "3 stills of 192x108"
    assert [number_in(folder / f"index-0000{k}.jpg") for k in (1, 2, 3)] == [
        film.number_at(k * 25_000 // 3) for k in range(3)
    ]


def test_a_folder_of_videos_and_a_bad_one(folder: Path) -> None:
    shutil.copy(folder / "movie.mp4", folder / "third.mp4")
    (folder / "bad.mp4").write_bytes(b"")
    (folder / "sprite.json").write_text(
        '{"Type": "Sprite", "Interval": 5, "Width": 96, "SpriteSnapshotConfig": {"Columns": 2, "Lines": 2}}'
    )
    common = "snap bad.mp4 movie.mp4 gone.mp4 third.mp4 --config sprite.json"
    two = run(f"{common} -o 'out/{{Name}}/{{TileCount}}.jpg' --jobs 2", folder)
    assert two.code == 2
    assert sorted(two.complaints.splitlines()) == [
        "stillframe: bad.mp4: the file is empty (0 bytes)",
        "stillframe: gone.mp4: no such file",
    ]
    assert sorted(line.partition(" in ")[0] for line in two.out.splitlines()) == [
        "movie.mp4: 2 sheets of 192x108",
        "third.mp4: 2 sheets of 192x108",
    ]
    names = [f"{name}/0000{number}.jpg" for name in ("movie", "third") for number in (1, 2)]
    assert files_in(folder / "out") == names
    assert barcode.read_sheet(rgb(folder / "out/third/00002.jpg"), 2, 96, 54) == [100, None, None, None]
    one = run(f"{common} -o 'one/{{Name}}/{{TileCount}}.jpg' --jobs 1", folder)
    assert one.code == 2
    for name in names:
        assert (folder / "one" / name).read_bytes() == (folder / "out" / name).read_bytes(), name


def test_one_thread_and_two_give_the_same_bytes(folder: Path) -> None:
    for threads in (1, 2):
        common = f"--threads {threads} --interval 1500ms --quiet"
        for made in (
            f"'{threads}/{{Count}}.jpg' --frame-type normal",
            f"'{threads}/sheet/{{TileCount}}.jpg' --type Sprite --columns 3 --lines 3",
            f"{threads}/movie.vtt --type WebVtt --tiled --width 100 --frame-type normal",
        ):
            assert run(f"snap movie.mp4 -o {made} {common}", folder) == Done(0, "", "")
    names = files_in(folder / "1")
    assert files_in(folder / "2") == names
    assert len(names) == 17 + 2 + 2
    for name in names:
        assert (folder / "1" / name).read_bytes() == (folder / "2" / name).read_bytes(), name


def test_json_tells_of_every_shot_and_output(folder: Path, film: Clip) -> None:
    shutil.copy(folder / "movie.mp4", folder / "second.mp4")
    done = run(
        "snap movie.mp4 gone.mp4 second.mp4 -o '{Name}/{Count}.jpg' --count 5 --time 300ms --interval 6 --json",
        folder,
    )
    assert done.code == 1
    demand_one_line(done, "gone.mp4: no such file")
    first, gone, second = done.objects
    assert gone == {
        "source": "gone.mp4",
        "ok": False,
        "code": "ResourceNotFound",
        "reason": None,
        "message": "gone.mp4: no such file",
    }
    for report, name in ((first, "movie"), (second, "second")):
        assert (report["source"], report["ok"], report["duration_ms"]) == (f"{name}.mp4", True, 25_000)
        assert [shot["requested_ms"] for shot in report["shots"]] == [300, 6300, 12300, 18300, 24300]
        assert [shot["actual_ms"] for shot in report["shots"]] == [0, 6000, 12000, 18000, 24000]
        assert {(shot["status"], shot["keyframe"]) for shot in report["shots"]} == {("taken", True)}
        assert [output["name"] for output in report["outputs"]] == [
            f"{name}/0000{number}.jpg" for number in range(1, 6)
        ]
        for shot, output in zip(report["shots"], report["outputs"], strict=True):
            assert output["size_bytes"] == (folder / output["name"]).stat().st_size
            assert number_in(folder / output["name"]) == film.number_at(shot["actual_ms"])


def test_quiet_prints_errors_only(folder: Path) -> None:
    done = run("snap movie.mp4 gone.mp4 -o '{Name}.jpg' --quiet", folder)
    assert (done.code, done.out) == (1, "")
    demand_one_line(done, "gone.mp4: no such file")
    assert number_in(folder / "movie.jpg") == 0


def test_options_go_over_the_config_file(folder: Path) -> None:
    config = {
        "Type": "Sprite",
        "Interval": 5,
        "Width": 96,
        "SpriteSnapshotConfig": {"Columns": 5, "Lines": 1},
    }
    done = run("snap movie.mp4 -o '{TileCount}.png' --config - --lines 2", folder, stdin=json.dumps(config))
    assert line_of(done)["made"] == "1 sheet of 480x108"
    assert barcode.read_sheet(rgb(folder / "00001.png"), 5, 96, 54)[:5] == [0, 25, 50, 75, 100]
    done = run("snap movie.mp4 -o n.jpg --config - --type normal --count 1", folder, stdin=json.dumps(config))
    assert line_of(done)["made"] == "1 still of 96x54"


@pytest.mark.parametrize(
    ("arguments", "stdin", "told"),
    [
        ("", "", "Usage: stillframe"),
        ("bogus", "", "No such command 'bogus'"),
        ("snap -o x.jpg", "", "Missing argument 'INPUT"),
        ("snap movie.mp4", "", "Missing option '--output'"),
        ("snap movie.mp4 -o x.jpg --nonsense", "", "No such option: --nonsense"),
        ("snap movie.mp4 -o x.jpg --count 0", "", "--count"),
        ("snap movie.mp4 -o x.jpg --width 4097", "", "--width"),
        ("snap movie.mp4 -o x.jpg --quality 101", "", "--quality"),
        ("snap movie.mp4 -o x.jpg --time half", "", "'half' is no time; write 12.5s"),
        ("snap movie.mp4 -o x.jpg --type Movie", "", "--type"),
        ("snap movie.mp4 -o x.jpg --color nonsense", "", "'nonsense', but must be a CSS colour"),
        ("snap movie.mp4 -o x.gif", "", "'x.gif', but must be a name that ends in .jpg"),
        ("snap movie.mp4 -o ''", "", "'', but must be a file name"),
        ("snap movie.mp4 -o x.jpg --type WebVtt", "", "'x.jpg', but must be a name that ends in .vtt"),
        ("snap movie.mp4 -o '{Count}.jpg' --type Sprite", "", "must be a name with {TileCount}"),
        ("snap movie.mp4 -o x.jpg --config -", '{"Type":', "--config -: is no JSON"),
        ("snap movie.mp4 -o x.jpg --config -", "[1]", "--config -: must be a JSON object"),
        ("snap movie.mp4 -o x.jpg --config -", '{"Colums": 3}', "there is no such parameter"),
        ("snap movie.mp4 -o x.jpg --config -", '{"Count": "many"}', "Count is 'many', but must be"),
        ("snap movie.mp4 -o x.jpg --config gone.json", "", "--config gone.json"),
        (
            "snap movie.mp4 movie.mp4 -o '{Count}.jpg'",
            "",
            "movie.mp4 and movie.mp4 would write the same files",
        ),
        ("snap movie.mp4 other/movie.mkv -o '{Name}.jpg'", "", "other/movie.mkv would write the same files"),
        ("probe", "", "Usage: stillframe probe"),
        ("lint", "", "Usage: stillframe lint"),
    ],
)
def test_wrong_usage_is_64_and_writes_nothing(folder: Path, arguments: str, stdin: str, told: str) -> None:
    done = run(arguments, folder, stdin=stdin, env={"COLUMNS": "200"})
    assert done.code == USAGE
    assert told in done.err + done.out
    assert "Traceback" not in done.err
    assert files_in(folder) == ["movie.mp4"]


def test_exit_codes_stop_at_63(folder: Path) -> None:
    names = [f"{number}.mp4" for number in range(70)]
    done = run(["snap", *names, "-o", "{Name}.jpg", "--quiet"], folder)
    assert done.code == 63
    assert done.err.splitlines() == [f"stillframe: {name}: no such file" for name in names]


def test_probe_tells_what_is_in_a_video(folder: Path) -> None:
    text = run("probe movie.mp4", folder)
    assert (text.code, text.err) == (0, "")
    title, *rows = text.out.splitlines()
    assert title == "movie.mp4"
    facts = {row[:12].strip(): row[12:] for row in rows}
    assert facts["streams"] == "video h264 (chosen), audio aac"
    assert facts["duration"] == "25.000 s from the first picture"
    assert facts["picture"] == "192x108 h264 yuv420p, upright"
    assert facts["keyframes"] == "25 listed"
    (found,) = run("probe movie.mp4 --json", folder).objects
    assert (found["codec"], found["width_px"], found["height_px"], found["duration_ms"]) == (
        "h264",
        192,
        108,
        25_000,
    )
    assert found["keyframes_ms"] == list(range(0, 25_000, 1000))
    assert [stream["type"] for stream in found["streams"]] == ["video", "audio"]
    both = run("probe movie.mp4 gone.mp4 --json", folder)
    assert both.code == 1
    demand_one_line(both, "gone.mp4: no such file")
    assert [report["source"] for report in both.objects] == ["movie.mp4", "gone.mp4"]
    assert both.objects[1]["ok"] is False
    assert both.objects[1]["code"] == "ResourceNotFound"
    assert both.objects[1]["message"] == "gone.mp4: no such file"


@pytest.mark.parametrize("sandbox", ["", "--sandbox"])
def test_no_more_is_read_than_may_be(folder: Path, sandbox: str) -> None:
    done = run(f"snap movie.mp4 -o x.jpg --max-read-bytes 2000 {sandbox}", folder)
    assert done.code == 1
    demand_one_line(done, "movie.mp4: more than 2,000 bytes (MaxReadBytes) of its", "allow more")
    assert files_in(folder) == ["movie.mp4"]


def test_lint_names_the_player_that_would_break(folder: Path) -> None:
    (folder / "broken.vtt").write_text("WEBVTT\n\n00:00:05.000 --> 00:00:01.000\ngone.jpg#xywh=0,0,9,9\n")
    text = run("lint broken.vtt", folder)
    assert (text.code, text.err) == (1, "")
    errors = [line for line in text.out.splitlines() if line.startswith("broken.vtt:3: error: ")]
    assert errors
    assert all(re.search(r"\[[a-z-]+\] \(breaks: .*[A-Z].*\)$", line) for line in errors)
    told = run("lint broken.vtt gone.vtt --json", folder)
    assert told.code == 2
    demand_one_line(told, "gone.vtt")
    *findings, gone = told.objects
    assert {finding["track"] for finding in findings} == {"broken.vtt"}
    assert len(findings) == len(text.out.splitlines())
    assert all(finding["players"] for finding in findings if finding["severity"] == "error")
    assert (gone["track"], gone["ok"], gone["code"]) == ("gone.vtt", False, "ResourceNotFound")
    assert "no such file" in gone["message"]


def test_python_dash_m_is_the_same_command(folder: Path) -> None:
    module = (sys.executable, "-m", "stillframe")
    done = the_command.run("snap movie.mp4 -o x.png --width 96", folder, command=module)
    assert line_of(done) == {"source": "movie.mp4", "made": "1 still of 96x54", "where": "x.png"}
    assert rgb(folder / "x.png").shape == (54, 96, 3)
    assert the_command.run("--version", folder, command=module) == the_command.run("--version", folder)
