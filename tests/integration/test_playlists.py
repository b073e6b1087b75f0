"""HLS playlists are read as one video: the frames are those of the film that was cut, and few segments are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from taking import Taken

import stillframe
from hls import KINDS, Kind, cut, cut_anew, entries, write
from stillframe import MediaError, MemorySink, MemorySource, SnapshotConfig, SourceError, shoot
from stillframe.media.describe import describe
from stillframe.media.probe import Probe, probe
from stillframe.sandbox.parent import Sandbox
from stillframe.storage import cached_source
from stillframe.storage.bucket import ObjectFacts
from stillframe.storage.index_cache import IndexCache
from stillframe.storage.local import LocalBucket
from stillframe.storage.playlist_source import PlaylistSource, open_playlist
from stillframe.testing import Clip, videos

SOME = {"count": 5, "interval_ms": 1490, "frame_type": "normal", "width": 96}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Ten seconds with sound, in GOPs of one second with B-frames."""
    folder = tmp_path_factory.mktemp("film")
    return videos.make(folder / "film.mp4", frames=250, gop=25, bframes=2, audio="aac")


@pytest.fixture(scope="module")
def hls(film: Clip, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Kind, Path]:
    """The film in segments of two seconds, in each form."""
    folder = tmp_path_factory.mktemp("hls")
    return {kind: cut(film, folder / kind / "a.m3u8", kind) for kind in KINDS}


@pytest.fixture(autouse=True)
def nothing_was_read_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """By another test, and kept."""
    monkeypatch.setattr(cached_source, "_INDEXES", IndexCache())


class Counting(LocalBucket):
    """Notes which segments are read, and how much of each."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read_bytes: dict[str, int] = {}
        self.looks: list[str] = []

    def stat(self, key: str) -> ObjectFacts:
        self.looks.append(key)
        return super().stat(key)

    def read_range(self, facts: ObjectFacts, offset: int, length: int) -> bytes:
        self.read_bytes[facts.key] = self.read_bytes.get(facts.key, 0) + length
        return super().read_range(facts, offset, length)


def opened(
    playlist: Path, allows: Callable[[str], bool] = lambda key: True, key: str | None = None
) -> PlaylistSource:
    """A playlist; `key` is its path below the folder that is its bucket."""
    name = key or playlist.name
    root = Path(str(playlist).removesuffix(name))
    return open_playlist(Counting(root), name, None, allows)


def take(source: PlaylistSource, sandbox: bool | Sandbox = False, **parameters: Any) -> Taken:
    config = SnapshotConfig(**parameters)
    sink = MemorySink("{Count}.png", config)
    return Taken(shoot(source, sink, config, threads=2, sandbox=sandbox), sink.files)


def expect(taken: Taken, number_at: Callable[[int], int]) -> None:
    """Every shot was taken, and shows the number that its time asks for."""
    assert taken.statuses == ["taken"] * len(taken.statuses)
    assert taken.seen == [number_at(shot.requested_ms) for shot in taken.report.shots]


@pytest.mark.parametrize("kind", KINDS)
def test_every_moment_gives_the_frame_of_the_film(hls: Mapping[Kind, Path], film: Clip, kind: Kind) -> None:
    found = probe(opened(hls[kind]))
    assert found.duration_ms == film.duration_ms
    assert found.container.startswith("hls, ")
    taken = take(opened(hls[kind]), count=30, frame_type="normal", width=96)
    expect(taken, film.number_at)
    # and by themselves, at the very borders of segments
    for number in (49, 50, 51, 249):
        alone = take(opened(hls[kind]), time=ceil(film.time_ms_of(number)), frame_type="normal")
        assert alone.seen == [number]


@pytest.mark.parametrize("kind", ["ts", "fmp4"])
def test_keyframes_are_those_of_the_film(hls: Mapping[Kind, Path], film: Clip, kind: Kind) -> None:
    config = SnapshotConfig(count=9, keyframe_miss="nearest", width=96)
    whole = MemorySink("{Count}.png", config)
    report = shoot(film.path, whole, config)
    taken = take(opened(hls[kind]), count=9, keyframe_miss="nearest", width=96)
    assert [shot.actual_ms for shot in taken.report.shots] == [shot.actual_ms for shot in report.shots]
    assert taken.seen == Taken(report, whole.files).seen
    assert all(shot.keyframe for shot in taken.report.shots)


def bucket_of(source: PlaylistSource) -> Counting:
    assert isinstance(source._bucket, Counting)
    return source._bucket


@pytest.mark.parametrize("kind", ["ts", "fmp4"])
@pytest.mark.parametrize("frame_type", ["normal", "intra"])
def test_only_the_segments_that_shots_need_are_read(
    hls: Mapping[Kind, Path], kind: Kind, frame_type: str
) -> None:
    """The first one tells what there is, the last one's beginning where it ends."""
    source = opened(hls[kind])
    taken = take(source, time=4_900, frame_type=frame_type)
    assert taken.report.ok
    ending = "m4s" if kind == "fmp4" else "ts"
    needed = {f"a-{number:03}.{ending}" for number in (0, 2, 4)}
    if frame_type == "intra":
        # the keyframe at 5 s is nearer than the one at 4 s: no other segment is asked
        assert taken.seen == [125]
    assert bucket_of(source).read_bytes.keys() - {"a-init.mp4"} == needed


@pytest.fixture(scope="module")
def sandbox() -> Any:
    with Sandbox() as box:
        yield box


@pytest.mark.usefixtures("sandbox_holds")
@pytest.mark.parametrize("kind", ["ts", "fmp4 in one file"])
def test_the_sandbox_gives_the_same(hls: Mapping[Kind, Path], kind: Kind, sandbox: Sandbox) -> None:
    for parameters in (SOME, {"count": 3, "width": 96, "keyframe_miss": "skip"}):
        inside = take(opened(hls[kind]), sandbox, **parameters)
        outside = take(opened(hls[kind]), **parameters)
        assert inside.files == outside.files
        assert inside.report.shots == outside.report.shots
    assert sandbox.describe(opened(hls[kind])).facts == describe(opened(hls[kind]))


def test_what_is_told_of_a_playlist(hls: Mapping[Kind, Path]) -> None:
    source = opened(hls["ts"])
    facts = describe(source)
    assert (facts.format_name, facts.duration_us, facts.size_bytes) == ("hls", 10_000_000, source.size)
    assert [stream.codec_name for stream in (*facts.video, *facts.audio)] == ["h264", "aac"]
    assert {stream.duration_us for stream in (*facts.video, *facts.audio)} == {10_000_000}
    assert facts.video[0].number_of_frames is None


@pytest.fixture(scope="module")
def two_films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clip, Clip]:
    """Of other sizes, rates and times."""
    folder = tmp_path_factory.mktemp("two")
    return (
        videos.make(folder / "one.mp4", frames=100, gop=25, bframes=2, width=128, height=72),
        videos.make(folder / "two.mp4", frames=60, fps=30, gop=15, first_number=500, first_pts_s=77),
    )


@pytest.mark.parametrize("kind", ["ts", "fmp4"])
@pytest.mark.parametrize("tag", ["#EXT-X-DISCONTINUITY", ""], ids=["told", "not told"])
def test_timestamps_that_jump(tmp_path: Path, two_films: tuple[Clip, Clip], kind: Kind, tag: str) -> None:
    """Two films in one playlist, one of them twice: the clock is the playlist's, and the size the first one's."""
    one, two = two_films
    parts = {
        clip: [
            f'#EXT-X-MAP:URI="{clip.path.stem}-init.mp4"' if kind == "fmp4" else "",
            *entries(cut(clip, tmp_path / f"{clip.path.stem}.m3u8", kind)),
        ]
        for clip in (one, two)
    }
    both = write(tmp_path / "both.m3u8", *parts[one], tag, *parts[two], tag, *parts[one])

    def number_at(time_ms: int) -> int:
        if 4000 <= time_ms < 6000:
            return two.number_at(time_ms - 4000)
        return one.number_at(time_ms if time_ms < 4000 else time_ms - 6000)

    taken = take(opened(both), count=25, frame_type="normal")
    expect(taken, number_at)
    keyframes = take(opened(both), count=10, keyframe_miss="nearest")
    assert keyframes.seen == [0, 25, 50, 75, 500, 530, 0, 25, 50, 75]
    assert {taken.picture(name).shape for name in taken.names} == {(72, 128, 3)}


def test_timestamps_that_begin_anew_in_each_segment(film: Clip, tmp_path: Path) -> None:
    playlist = cut_anew(film, tmp_path / "a.m3u8", seconds=1)
    assert len(entries(playlist)) == 10
    # the muxer says that the first one lasts 1.08 s, though its pictures do not
    told = [round(float(seconds) * 1000) for seconds in re.findall(r"#EXTINF:([\d.]+)", playlist.read_text())]
    taken = take(opened(playlist), count=14, frame_type="normal", width=96)
    assert taken.seen == [_in_parts(shot.requested_ms, told) for shot in taken.report.shots]


def _in_parts(time_ms: int, lasts_ms: list[int]) -> int:
    """The number that is shown where segments of 25 pictures each last so long."""
    for number, lasts in enumerate(lasts_ms):
        if time_ms < lasts:
            return 25 * number + min(time_ms // 40, 24)
        time_ms -= lasts
    return 25 * len(lasts_ms) - 1


def test_a_film_without_further_keyframes(tmp_path: Path) -> None:
    clip = videos.make(tmp_path / "film.mp4", frames=100, gop=200, width=96, height=54)
    playlist = cut(clip, tmp_path / "a.m3u8", seconds=0.1, flags="split_by_time")
    assert len(entries(playlist)) > 20
    assert take(opened(playlist), time=3500, keyframe_miss="nearest").seen == [87]
    assert take(opened(playlist), time=1000, keyframe_miss="nearest").seen == [0]


#: what libav does not write into segments of a kind
NOT_IN: dict[Kind, set[str]] = {
    "fmp4": {"av1", "gif", "negative pts", "prores mov", "ten bit av1", "transparent qtrle", "vp8"},
}
NOT_IN["ts"] = NOT_IN["fmp4"] | {
    *("ffv1 mkv", "mjpeg mov", "odd size 4:2:0", "transparent png", "transparent webm"),
    *("vfr webm", "vp9", "webm live"),
}
BY_DEFAULT = {("hevc open gop mp4", "fmp4"), ("interlaced tff", "ts"), ("rotated 90", "fmp4")}
CUT = [
    pytest.param(name, kind, marks=() if (name, kind) in BY_DEFAULT else pytest.mark.full)
    for kind in NOT_IN
    for name in sorted(videos.PLAYABLE)
    if name not in NOT_IN[kind]
]


@pytest.mark.parametrize(("name", "kind"), CUT)
def test_it_is_what_its_segments_are_in_one_file(tmp_path: Path, name: str, kind: Kind) -> None:
    """Of every kind of video: the same frames at the same times, and the same of all that is told of them."""
    playlist = cut(videos.PLAYABLE[name](tmp_path), tmp_path / "hls/a.m3u8", kind, seconds=0.5)
    parts = [playlist.with_name(entry.splitlines()[-1]) for entry in entries(playlist)]
    if kind == "fmp4":
        parts.insert(0, playlist.with_name("a-init.mp4"))
    whole = MemorySource(b"".join(part.read_bytes() for part in parts))
    told, mine = probe(whole), probe(opened(playlist))
    for fact in ("display_width_px", "display_height_px", "rotation", "mirrored", "interlaced", "colour"):
        assert getattr(mine, fact) == getattr(told, fact)
    for parameters in ({"frame_type": "normal"}, {"keyframe_miss": "nearest"}):
        config = SnapshotConfig(
            count=8, interval_ms=min(mine.duration_ms, told.duration_ms) // 9, **parameters
        )
        expected, sink = MemorySink("{Count}.png", config), MemorySink("{Count}.png", config)
        times = [shot.actual_ms for shot in shoot(whole, expected, config).shots]
        assert [shot.actual_ms for shot in shoot(opened(playlist), sink, config).shots] == times
        assert sink.files == expected.files


def test_times_that_run_over_33_bits(tmp_path: Path) -> None:
    clip = videos.make(
        tmp_path / "film.mp4", frames=150, gop=25, bframes=2, first_pts_s=Fraction(1 << 33, 90_000) - 3
    )
    taken = take(opened(cut(clip, tmp_path / "a.m3u8")), width=96, count=12, frame_type="normal")
    expect(taken, clip.number_at)


@pytest.mark.parametrize("told_s", ["2.45", "1.55"])
def test_durations_that_are_wrong(hls: Mapping[Kind, Path], film: Clip, tmp_path: Path, told_s: str) -> None:
    """The pictures' own times count; the durations only tell where to look."""
    text = hls["ts"].read_text()
    playlist = hls["ts"].with_name(f"wrong{told_s}.m3u8")
    playlist.write_text(re.sub(r"#EXTINF:[\d.]+", f"#EXTINF:{told_s}", text))
    taken = take(opened(playlist), count=18, interval_ms=505, frame_type="normal")
    expect(taken, film.number_at)


def test_segments_that_begin_with_no_keyframe(tmp_path: Path) -> None:
    """What comes before the first keyframe of a segment needs the segment before."""
    clip = videos.make(tmp_path / "film.mp4", frames=150, gop=40, bframes=2, width=96, height=54)
    playlist = cut(clip, tmp_path / "a.m3u8", seconds=0.7, flags="split_by_time")
    assert len(entries(playlist)) > 6
    expect(take(opened(playlist), count=15, frame_type="normal"), clip.number_at)
    assert set(take(opened(playlist), count=8, keyframe_miss="nearest").seen) == {0, 40, 80, 120}


class TestMissing:
    """Segments that are not there: gaps, objects that are gone or empty, damaged ones."""

    @pytest.fixture
    def playlist(self, hls: Mapping[Kind, Path], tmp_path: Path) -> Path:
        for path in hls["ts"].parent.glob("a*"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
        return tmp_path / "a.m3u8"

    @pytest.mark.parametrize("how", ["gap", "gone", "empty", "linked"])
    def test_a_moment_without_a_segment_is_missing(self, playlist: Path, film: Clip, how: str) -> None:
        segment = playlist.with_name("a-002.ts")
        if how == "gap":
            text = playlist.read_text().replace("a-002.ts", "#EXT-X-GAP\na-002.ts")
            playlist.write_text(text)
        elif how == "empty":
            segment.write_bytes(b"")
        else:
            segment.unlink()
        if how == "linked":
            segment.symlink_to("a-001.ts")
        source = opened(playlist)
        if how != "gap":
            assert "a-002.ts" in probe(source).notes[0]
        taken = take(source, count=10, frame_type="normal", allow_missing=20)
        assert taken.report.ok
        # 4.0 s is just behind the last picture before; 5.0 s is nowhere near
        assert taken.statuses == ["taken"] * 4 + ["replaced", "missing"] + ["taken"] * 4
        assert "segment of this moment is missing" in str(taken.report.shots[5].reason)
        times = [*range(0, 4000, 1000), 3999, *range(6000, 10_000, 1000)]
        assert taken.seen == [film.number_at(time_ms) for time_ms in times]

    def test_the_first_and_the_last_one(self, playlist: Path, film: Clip) -> None:
        playlist.with_name("a-000.ts").unlink()
        playlist.with_name("a-004.ts").unlink()
        source = opened(playlist)
        # times count from the first picture, as in every video
        assert probe(source).duration_ms == 8000
        taken = take(source, count=8, frame_type="normal", allow_missing=50)
        assert taken.statuses == ["taken"] * 6 + ["replaced", "missing"]
        assert taken.seen[:6] == [film.number_at(time_ms + 2000) for time_ms in range(0, 6000, 1000)]

    def test_a_damaged_one(self, playlist: Path) -> None:
        playlist.with_name("a-002.ts").write_bytes(b"\x00nothing" * 5000)
        taken = take(opened(playlist), count=10, frame_type="normal", allow_missing=20)
        assert taken.statuses == ["taken"] * 4 + ["replaced", "missing"] + ["taken"] * 4
        assert "part of the video of this moment is damaged" in str(taken.report.shots[5].reason)
        assert taken.seen == [0, 25, 50, 75, 99, 150, 175, 200, 225]

    def test_a_damaged_first_one(self, playlist: Path) -> None:
        playlist.with_name("a-000.ts").write_bytes(b"\x00nothing" * 5000)
        assert describe(opened(playlist)).video[0].codec_name == "h264"
        # times count from the first picture
        assert take(opened(playlist), count=4, frame_type="normal").seen == [50, 100, 150, 200]

    def test_all_of_them(self, playlist: Path) -> None:
        for path in playlist.parent.glob("*.ts"):
            path.unlink()
        with pytest.raises(MediaError, match=r"none of its segments is there.*a-000\.ts"):
            opened(playlist)

    def test_a_job_looks_once(self, playlist: Path) -> None:
        """The next slices know what the survey found; and look again when something of it is wrong."""
        bucket = Counting(playlist.parent)

        def opened_again(pinned: str | None) -> PlaylistSource:
            return open_playlist(bucket, "a.m3u8", None, lambda key: True, pinned=pinned)

        first = opened_again(None)
        assert len(bucket.looks) == 5
        again = opened_again(first.identity)
        assert (len(bucket.looks), again.identity, again.playlist) == (5, first.identity, first.playlist)
        playlist.with_name("a-001.ts").write_bytes(playlist.with_name("a-003.ts").read_bytes())
        with pytest.raises(SourceError, match="was replaced"):
            take(again, count=3, frame_type="normal")
        assert opened_again(first.identity).identity != first.identity
        assert len(bucket.looks) == 10
        playlist.write_text(playlist.read_text() + "#\n")
        assert opened_again(first.identity).identity != first.identity

    def test_one_that_is_replaced_while_it_is_read(self, playlist: Path) -> None:
        source = opened(playlist)
        before = source.identity
        playlist.with_name("a-004.ts").write_bytes(playlist.with_name("a-003.ts").read_bytes())
        with pytest.raises(SourceError, match=r"a-004\.ts.*was replaced while it was read") as caught:
            take(source, count=10, frame_type="normal")
        assert caught.value.transient
        assert opened(playlist).identity != before


def test_a_live_playlist_is_what_it_lists_by_now(hls: Mapping[Kind, Path], film: Clip) -> None:
    live = hls["ts"].with_name("live.m3u8")
    live.write_text(hls["ts"].read_text().replace("#EXT-X-ENDLIST\n", ""))
    assert "has no end" in probe(opened(live)).notes[0]
    expect(take(opened(live), count=5, frame_type="normal"), film.number_at)


class TestMaster:
    """A master playlist is read by its best variant."""

    @pytest.fixture
    def master(self, film: Clip, tmp_path: Path) -> Path:
        low = videos.make(tmp_path / "low.mp4", frames=25, first_number=900, width=96, height=54)
        cut(low, tmp_path / "v/low/low.m3u8")
        cut(film, tmp_path / "v/high/high.m3u8", "fmp4")
        stream = "#EXT-X-STREAM-INF:BANDWIDTH="
        return write(
            tmp_path / "v/master.m3u8",
            f"{stream}100000,RESOLUTION=192x108\nlow/low.m3u8",
            f'{stream}900000,CODECS="avc1.64000c,mp4a.40.2"\nhigh/high.m3u8?x=1',
        )

    def test_it_gives_the_pictures_of_the_best(self, master: Path, film: Clip) -> None:
        source = opened(master)
        assert probe(source).source == str(master)
        expect(take(source, count=5, frame_type="normal"), film.number_at)

    def test_a_master_of_masters_is_refused(self, master: Path) -> None:
        again = write(master.with_name("again.m3u8"), "#EXT-X-STREAM-INF:BANDWIDTH=1\nmaster.m3u8")
        with pytest.raises(MediaError, match="a list of variants again"):
            opened(again)

    def test_a_variant_that_is_not_there(self, master: Path) -> None:
        master.with_name("high").rename(master.with_name("gone"))
        with pytest.raises(SourceError, match=r"high\.m3u8"):
            opened(master)

    def test_what_lies_elsewhere_in_the_bucket(self, master: Path, film: Clip) -> None:
        text = master.with_name("high").joinpath("high.m3u8").read_text()
        inner = master.with_name("lists") / "a.m3u8"
        inner.parent.mkdir()
        inner.write_text(re.sub(r"(high-(?:init|\d+)\.\w+)", r"../high/\1", text))
        expect(take(opened(inner, key="lists/a.m3u8"), count=3, frame_type="normal"), film.number_at)
        with pytest.raises(MediaError, match="must not lead out of the playlist's bucket"):
            opened(inner)


def test_the_library_takes_a_playlist_by_its_path(
    hls: Mapping[Kind, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(hls["ts"].parent)
    (tmp_path / "link.m3u8").symlink_to(hls["ts"])
    config = SnapshotConfig(time=3000, frame_type="normal")
    for path in ("a.m3u8", hls["ts"], tmp_path / "link.m3u8"):
        sink = MemorySink("{Count}.png", config)
        report = stillframe.shoot(path, sink, config)
        assert Taken(report, sink.files).seen == [75]
        assert report.source == str(path)
    assert stillframe.probe("a.m3u8").duration_ms == 10_000


@pytest.mark.parametrize(
    ("name", "text", "error", "words"),
    [
        ("none.m3u8", None, SourceError, "none.m3u8: no such file"),
        ("movie.m3u8", "movie", MediaError, "movie.m3u8: is called a playlist"),
        ("out.m3u8", "#EXTM3U\n#EXTINF:1,\n../a.ts\n", MediaError, "out.m3u8: names ../a.ts"),
        ("web.m3u8", "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", MediaError, "playlist's own bucket"),
        ("a.mp4", "#EXTM3U\n#EXTINF:1,\na.ts\n", MediaError, "when its own name ends in .m3u8"),
    ],
)
def test_what_the_library_refuses(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    text: str | None,
    error: type[Exception],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path(name).write_text(text)
    with pytest.raises(error, match=re.escape(words)):
        stillframe.probe(name)


def test_segments_that_may_not_be_read(hls: Mapping[Kind, Path]) -> None:
    with pytest.raises(MediaError, match=r"a-003\.ts, which may not be read") as caught:
        opened(hls["ts"], lambda key: "003" not in key)
    assert caught.value.reason == "playlist"


NOT_READ = {
    "a playlist in a segment's place": ("inner.ts", b"#EXTM3U\n#EXTINF:1,\n/etc/hostname\n", "playlist"),
    "a script": ("inner.ts", b"ffconcat version 1.0\nfile '/etc/hostname'\n", "playlist"),
    "text": ("inner.ts", b"hello " * 1000, "not-video"),
    "sound": ("inner.wav", b"", "audio-only"),
}


@pytest.mark.parametrize("name", NOT_READ)
def test_segments_that_are_no_video(tmp_path: Path, name: str) -> None:
    segment, data, reason = NOT_READ[name]
    if reason == "audio-only":
        videos.audio_only(tmp_path, suffix="wav").path.rename(tmp_path / segment)
    else:
        (tmp_path / segment).write_bytes(data)
    playlist = write(tmp_path / "a.m3u8", f"#EXTINF:5,\n{segment}")
    with pytest.raises(MediaError) as caught:
        probe(opened(playlist))
    assert caught.value.reason == reason


def test_a_probe_of_a_playlist_has_plain_facts(hls: Mapping[Kind, Path]) -> None:
    found: Probe = probe(opened(hls["fmp4"]))
    assert found.keyframes_pts == ()
    assert (found.width_px, found.height_px, found.notes) == (192, 108, ())
