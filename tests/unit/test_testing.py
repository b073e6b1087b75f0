"""What users test with must itself be right: every number is where a clip says it is."""

from __future__ import annotations

import ast
import os
import re
import struct
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.filter import Graph
from av.stream import Disposition
from av.video.frame import VideoFrame

import stillframe.testing
from clips import MadeClip
from stillframe.testing import Clip, Unreadable, barcode, boxes_edit, videos

Picture = npt.NDArray[Any]
STSD = "moov/trak/mdia/minf/stbl/stsd"


class TestClip:
    CLIP = Clip(
        Path("x.mp4"),
        numbers=(7, 8, 9),
        pts_s=(Fraction(14, 10), Fraction(15, 10), Fraction(2)),
        end_s=Fraction(25, 10),
    )

    @pytest.mark.parametrize(
        ("time_ms", "number"),
        [(0, 7), (99, 7), (100, 8), (599, 8), (Fraction(5999, 10), 8), (600, 9), (10_000, 9)],
    )
    def test_the_last_picture_up_to_then_is_on_screen(self, time_ms: int, number: int) -> None:
        assert self.CLIP.number_at(time_ms) == number

    def test_times(self) -> None:
        assert self.CLIP.time_ms_of(9) == 600
        assert self.CLIP.duration_ms == 1100

    def test_questions_without_an_answer(self) -> None:
        with pytest.raises(ValueError, match="time_ms is -1"):
            self.CLIP.number_at(-1)
        with pytest.raises(ValueError, match=r"y\.mp4 has no numbered pictures"):
            Clip(Path("y.mp4")).number_at(0)


@pytest.mark.parametrize("name", videos.PLAYABLE)
def test_every_picture_is_where_the_clip_says(name: str, made_clip: MadeClip) -> None:
    clip = made_clip(name)
    expected = [
        (None if number in clip.black_numbers else number, pts_s)
        for number, pts_s in zip(clip.numbers, clip.pts_s, strict=True)
    ]
    assert list(shown(clip)) == expected
    assert set(clip.keyframe_numbers) <= set(clip.numbers)
    assert list(clip.path.parent.iterdir()) == [clip.path]
    if not clip.path.name.startswith(("vfr", "animated")):
        # Truth that does not come from the file: 25 pictures a second, to the container's precision.
        for index, pts_s in enumerate(clip.pts_s):
            assert abs(pts_s - clip.pts_s[0] - Fraction(index, 25)) <= Fraction(1, 1000)
        assert abs(clip.duration_ms - 40 * len(clip.numbers)) <= 1


@pytest.mark.parametrize("name", videos.REFUSED)
def test_refused_files_give_no_picture_of_a_video(name: str, made_clip: MadeClip) -> None:
    clip = made_clip(name)
    assert list(clip.path.parent.iterdir()) == [clip.path]
    assert (clip.numbers, clip.duration_ms) == ((), 0)
    numbers = set()
    try:
        with av.open(str(clip.path)) as container:
            if container.streams.video:
                numbers = {
                    number_in(frame.to_ndarray(format="rgb24", threads=1))
                    for frame in container.decode(video=0)
                }
    except av.FFmpegError:
        assert name not in ("cover only", "jpeg")
    # Stills can be decoded, and are no moment of a video; encrypted video decodes to pictures without one.
    stills = {"cover only": {videos.COVER_NUMBER}, "jpeg": {1}}
    assert numbers == stills.get(name, {None} if name.startswith("encrypted") else set())


class TestCodecs:
    @pytest.mark.parametrize("suffix", ["mp4", "ts", "mkv"])
    def test_open_gops_have_pictures_before_their_keyframe(self, tmp_path: Path, suffix: Any) -> None:
        clip = videos.h264_open_gop(tmp_path, suffix)
        assert leading_pictures(clip) == [0, 2, 2, 2, 2]
        assert clip.keyframe_numbers == (0, 12, 24, 36, 48)

    def test_closed_gops_have_none(self, tmp_path: Path) -> None:
        assert leading_pictures(videos.h264_pyramid(tmp_path)) == [0, 0, 0, 0, 0]

    def test_hevc_has_cra_and_rasl_pictures(self, tmp_path: Path) -> None:
        data = videos.hevc_open_gop(tmp_path, "ts").path.read_bytes()
        kinds = {data[match.end()] >> 1 & 63 for match in re.finditer(b"\x00\x00\x01", data)}
        assert 21 in kinds  # CRA_NUT
        assert kinds & {8, 9}  # RASL_N, RASL_R

    def test_av1_hides_pictures(self, tmp_path: Path) -> None:
        with av.open(str(videos.av1_mp4(tmp_path).path)) as container:
            pictures = [obu_kinds(bytes(p)).count(6) for p in container.demux(video=0) if p.size]
        assert max(pictures) > 1
        assert 0 in pictures  # only shows what was decoded before

    def test_the_same_call_makes_the_same_bytes(self, tmp_path: Path) -> None:
        first = videos.h264_pyramid(tmp_path / "a").path.read_bytes()
        assert videos.h264_pyramid(tmp_path / "b").path.read_bytes() == first


class TestContainers:
    def test_starts(self, tmp_path: Path) -> None:
        assert videos.late_start(tmp_path).pts_s[0] == Fraction(14, 10)
        assert videos.edit_list_empty(tmp_path).pts_s[0] == Fraction(1, 2)
        assert videos.negative_pts(tmp_path).pts_s[0] == Fraction(-1, 2)

    def test_the_wrap_is_in_the_file(self, tmp_path: Path) -> None:
        clip = videos.ts_wrap(tmp_path)
        with av.open(str(clip.path), options={"correct_ts_overflow": "0"}) as container:
            pts = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
        assert pts[0] == 2**33 - 90_000
        assert min(pts) < 90_000
        assert clip.pts_s[0] == -1

    def test_vfr_times(self, tmp_path: Path) -> None:
        clip = videos.vfr(tmp_path)
        assert tuple(s * 1000 for s in clip.pts_s) == videos.VFR_PTS_MS
        with av.open(str(clip.path)) as container:
            stream = container.streams.video[0]
            assert stream.duration * stream.time_base < clip.pts_s[-1]
        assert tuple(s * 1000 for s in videos.vfr(tmp_path, "mkv").pts_s) == videos.VFR_PTS_MS

    @pytest.mark.parametrize("recipe", [videos.mkv_without_cues, videos.webm_live])
    def test_matroska_without_cues_and_duration(self, recipe: Callable[[Path], Clip], tmp_path: Path) -> None:
        clip = recipe(tmp_path)
        assert b"\x1c\x53\xbb\x6b" not in clip.path.read_bytes()
        with av.open(str(clip.path)) as container:
            assert container.duration is None
        assert b"\x1c\x53\xbb\x6b" in videos.h264_open_gop(tmp_path, "mkv").path.read_bytes()

    @pytest.mark.parametrize(("sidx", "mfra"), [(True, True), (True, False), (False, True), (False, False)])
    def test_fragments(self, tmp_path: Path, sidx: bool, mfra: bool) -> None:
        clip = videos.fragmented(tmp_path, sidx=sidx, mfra=mfra)
        kinds = [box.kind for box in boxes_edit.children(clip.path.read_bytes())]
        assert kinds.count("moof") == len(clip.keyframe_numbers) == 5
        assert (kinds.count("sidx"), kinds.count("mfra")) == (sidx, mfra)

    def test_where_the_index_lies(self, tmp_path: Path) -> None:
        front = [box.kind for box in boxes_edit.children(videos.moov_front(tmp_path).path.read_bytes())]
        behind = [box.kind for box in boxes_edit.children(videos.h264_pyramid(tmp_path).path.read_bytes())]
        assert front.index("moov") < front.index("mdat")
        assert behind.index("moov") > behind.index("mdat")

    @pytest.mark.parametrize("first_shown", [7, 12, 13])
    def test_the_cut_of_an_edit_list(self, tmp_path: Path, first_shown: int) -> None:
        clip = videos.edit_list_cut(tmp_path, first_shown)
        assert clip.numbers == tuple(range(first_shown, 50))
        assert [number for number, _ in shown(clip)] == list(clip.numbers)
        with av.open(str(clip.path)) as container:
            discarded = [p.pts for p in container.demux(video=0) if p.is_discard]
        assert len(discarded) >= first_shown - first_shown // 12 * 12
        assert all(pts < 0 for pts in discarded)


class TestLooks:
    @pytest.mark.parametrize(("degrees", "mirrored"), [(90, False), (180, True), (270, False), (0, True)])
    def test_turned_pictures_are_stored_turned(self, tmp_path: Path, degrees: int, mirrored: bool) -> None:
        clip = videos.rotated(tmp_path, degrees, mirrored)
        first = next(frames(clip))
        number, lies = barcode.orientation(first.to_ndarray(format="rgb24", threads=1))
        assert number == 0
        assert lies is not barcode.Orientation.UPRIGHT
        assert (clip.width_px, clip.height_px) == ((108, 192) if degrees in (90, 270) else (192, 108))

    @pytest.mark.parametrize(("sar", "shown_px"), [(Fraction(2), (384, 108)), (Fraction(1, 2), (192, 216))])
    def test_pixels_that_are_not_square(
        self, tmp_path: Path, sar: Fraction, shown_px: tuple[int, int]
    ) -> None:
        clip = videos.anamorphic(tmp_path, sar)
        with av.open(str(clip.path)) as container:
            assert container.streams.video[0].sample_aspect_ratio == sar
        assert (clip.width_px, clip.height_px) == shown_px

    @pytest.mark.parametrize("field_order", ["tff", "bff"])
    def test_interlaced_pictures_are_unreadable_as_they_are(self, tmp_path: Path, field_order: Any) -> None:
        clip = videos.interlaced(tmp_path, field_order)
        for frame in frames(clip):
            assert frame.interlaced_frame
            assert number_in(frame.to_ndarray(format="rgb24", threads=1)) is None

    @pytest.mark.parametrize(
        ("recipe", "colorspace", "full_range"),
        [
            (lambda folder: videos.colour_bars(folder, 480), "ITU601", False),
            (lambda folder: videos.colour_bars(folder, 720), "ITU709", False),
            (lambda folder: videos.colour_bars(folder, 720, tagged=True), None, False),
            (lambda folder: videos.full_range(folder), None, True),
            (lambda folder: videos.full_range(folder, tagged=False), "ITU709", True),
        ],
    )
    def test_bars_have_their_colours(
        self, tmp_path: Path, recipe: Callable[[Path], Clip], colorspace: str | None, full_range: bool
    ) -> None:
        frame = next(frames(recipe(tmp_path)))
        tagged = colorspace is None
        assert (frame.colorspace, frame.color_range) == ((1, 2 if full_range else 1) if tagged else (2, 0))
        pixel_range = "JPEG" if full_range else "MPEG"
        rgb = frame.reformat(
            format="rgb24",
            src_colorspace=colorspace or "ITU709",
            src_color_range=pixel_range,
            dst_color_range="JPEG",
        ).to_ndarray()
        for index, colour in enumerate(videos.BARS):
            middle = rgb[frame.height // 20, (2 * index + 1) * frame.width // 16]
            assert np.abs(middle.astype(int) - colour).max() <= 3

    @pytest.mark.parametrize(("transfer", "number"), [("pq", 16), ("hlg", 18)])
    def test_ramps_have_their_codes_and_tags(self, tmp_path: Path, transfer: Any, number: int) -> None:
        frame = next(frames(videos.hdr_ramp(tmp_path, transfer)))
        assert frame.format.name == "yuv420p10le"
        assert (frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range) == (
            number,
            9,
            9,
            1,
        )
        luma = np.frombuffer(frame.planes[0], np.uint16).reshape(frame.height, -1)[4, : frame.width]
        codes = luma.reshape(len(videos.RAMP_CODES), -1)[:, 4:-4]
        assert np.abs(codes.astype(int) - np.array(videos.RAMP_CODES)[:, None]).max() <= 4

    def test_the_light_level_is_written(self, tmp_path: Path) -> None:
        frame = next(frames(videos.hdr_ramp(tmp_path, max_cll=4000)))
        data = {
            item.type.name: bytes(item)
            for item in map(frame.side_data.__getitem__, range(len(frame.side_data)))
        }
        assert struct.unpack("<II", data["CONTENT_LIGHT_LEVEL"]) == (4000, 1000)
        assert len(next(frames(videos.hdr_ramp(tmp_path))).side_data) < len(data)

    def test_transparency(self, tmp_path: Path) -> None:
        clip = videos.transparent_webm(tmp_path)
        with av.open(str(clip.path)) as container:
            decoder = av.CodecContext.create("libvpx-vp9", "r")
            packets = [packet for packet in container.demux(video=0) if packet.size]
            frame = decoder.decode(packets[0])[0]
        assert isinstance(frame, VideoFrame)
        alpha = frame.to_ndarray(format="rgba")[:, :, 3]
        for codec in ("png", "qtrle"):
            rgba = next(frames(videos.transparent_mov(tmp_path, codec))).to_ndarray(format="rgba")
            assert (rgba[54, 96, 3], rgba[3, 96, 3], rgba[105, 96, 3]) == (255, 0, 0)
        assert (alpha[54, 96], alpha[3, 96], alpha[105, 96]) == (255, 0, 0)

    def test_the_size_changes_at_a_keyframe(self, tmp_path: Path) -> None:
        clip = videos.size_change(tmp_path)
        sizes = [(frame.width, frame.height) for frame in frames(clip)]
        assert sizes == [(192, 108)] * 25 + [(256, 192)] * 25
        assert 25 in clip.keyframe_numbers

    def test_black_is_black(self, tmp_path: Path) -> None:
        clip = videos.black_lead(tmp_path)
        assert clip.black_numbers == tuple(range(50))
        assert 50 not in clip.keyframe_numbers
        for number, frame in zip(clip.numbers, frames(clip), strict=True):
            assert (frame.to_ndarray(format="rgb24", threads=1).max() <= 20) == (number < 50)
        assert (
            max(f.to_ndarray(format="rgb24", threads=1).max() for f in frames(videos.all_black(tmp_path)))
            <= 20
        )

    @pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p"])
    def test_odd_sizes(self, tmp_path: Path, pix_fmt: Any) -> None:
        frame = next(frames(videos.odd_size(tmp_path, pix_fmt)))
        assert (frame.width, frame.height, frame.format.name) == (321, 241, pix_fmt)


class TestStreams:
    def test_the_cover_comes_first(self, tmp_path: Path) -> None:
        clip = videos.cover_first(tmp_path)
        with av.open(str(clip.path)) as container:
            cover, video = container.streams.video
            assert cover.index == 0
            assert cover.disposition == Disposition.attached_pic
            assert video.disposition != Disposition.attached_pic
            assert (
                number_in(next(container.decode(cover)).to_ndarray(format="rgb24", threads=1))
                == videos.COVER_NUMBER
            )

    def test_both_videos_are_there(self, tmp_path: Path) -> None:
        clip = videos.two_videos(tmp_path)
        with av.open(str(clip.path)) as container:
            first, second = container.streams.video
            numbers = [number_in(f.to_ndarray(format="rgb24", threads=1)) for f in container.decode(second)]
            assert (first.width, second.width) == (192, 256)
        assert numbers == list(range(1000, 1050))

    @pytest.mark.parametrize("suffix", ["m4a", "mp4", "mp3", "wav", "mkv"])
    def test_sound_alone(self, tmp_path: Path, suffix: Any) -> None:
        with av.open(str(videos.audio_only(tmp_path, suffix).path)) as container:
            assert [stream.type for stream in container.streams] == ["audio"]
            samples = sum(frame.samples for frame in container.decode(audio=0))
        assert abs(samples - 2 * 48_000) < 4096


class TestDamage:
    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
    def test_what_is_left_of_a_truncated_file_can_be_read(self, tmp_path: Path, suffix: Any) -> None:
        clip = videos.truncated(tmp_path, suffix=suffix)
        numbers: list[int | None] = []
        try:
            for frame in frames(clip):
                numbers.append(number_in(frame.to_ndarray(format="rgb24", threads=1)))
        except av.FFmpegError:
            assert suffix == "mp4"
        # A decoder holds pictures back, so that PyAV has not shown all of them when the broken packet comes.
        readable = min(len(numbers), len(clip.numbers))
        assert numbers[:readable] == list(clip.numbers[:readable])
        assert readable >= 20
        assert len(clip.numbers) < 35

    def test_flipped_bits_hurt_only_what_comes_after_the_first_gop(self, tmp_path: Path) -> None:
        clip = videos.bit_flipped(tmp_path)
        numbers = [number_in(frame.to_ndarray(format="rgb24", threads=1)) for frame in frames(clip)]
        assert numbers[:12] == list(range(12))
        assert numbers[12:] != list(range(12, 50))

    def test_ten_hours_are_promised(self, tmp_path: Path) -> None:
        data = videos.claims_ten_hours(tmp_path).path.read_bytes()
        assert boxes_edit.body(data, "moov/mvhd")[16:20] == (36_000_000).to_bytes(4)
        with av.open(str(videos.claims_ten_hours(tmp_path, "mkv").path)) as container:
            assert container.duration == 36_000 * 1_000_000

    @pytest.mark.parametrize("recipe", [videos.moov_missing, videos.zero_size])
    def test_nothing_can_be_read(self, tmp_path: Path, recipe: Callable[[Path], Clip]) -> None:
        with pytest.raises(av.InvalidDataError):
            next(frames(recipe(tmp_path)))

    @pytest.mark.parametrize(("encv", "senc"), [(True, False), (False, True), (True, True)])
    def test_encrypted_video_decodes_to_garbage(self, tmp_path: Path, encv: bool, senc: bool) -> None:
        clip = videos.encrypted(tmp_path, encv=encv, senc=senc)
        assert [number_in(frame.to_ndarray(format="rgb24", threads=1)) for frame in frames(clip)] == [
            None
        ] * 50
        data = clip.path.read_bytes()
        if encv:
            assert boxes_edit.body(data, f"{STSD}/encv/sinf/schm")[4:8] == b"cenc"
            assert boxes_edit.body(data, f"{STSD}/encv/sinf/frma") == b"avc1"
        if senc:
            counts = [boxes_edit.body(data, f"moof[{index}]/traf/senc")[4:8] for index in range(5)]
            assert sum(int.from_bytes(count) for count in counts) == 50

    def test_dolby_vision_says_profile_5(self, tmp_path: Path) -> None:
        clip = videos.dolby_vision_5(tmp_path)
        record = boxes_edit.body(clip.path.read_bytes(), f"{STSD}/hvc1/dvcC")
        assert (len(record), record[0], record[2] >> 1) == (24, 1, 5)
        frame = next(frames(clip))
        assert (frame.color_range, frame.colorspace, frame.color_trc, frame.color_primaries) == (2, 2, 2, 2)

    def test_disguises_name_their_target(self, tmp_path: Path) -> None:
        for kind in ("ffconcat", "m3u8", "mpd"):
            assert b"honey.mp4" in videos.disguised(tmp_path, kind, target="honey.mp4").path.read_bytes()
        assert b"m=video 4242 " in videos.disguised(tmp_path, "sdp", port=4242).path.read_bytes()


def test_a_turn_must_be_a_quarter(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rotation is 45"):
        videos.make(tmp_path / "x.mp4", rotation=45)


def test_the_number_of_pictures_is_checked(tmp_path: Path) -> None:
    clip = videos.make(tmp_path / "x.mp4", frames=3)
    with pytest.raises(ValueError, match=r"x\.mp4 shows 3 pictures with a time, and 4 were drawn"):
        videos.facts_of(clip.path, range(4), (192, 108))


def test_users_need_only_av_and_numpy() -> None:
    imported = set()
    for path in Path(stillframe.testing.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    assert imported - sys.stdlib_module_names == {"av", "numpy", "stillframe"}


def shown(clip: Clip) -> Iterator[tuple[int | None, Fraction]]:
    """The numbers and times of all pictures as a player shows them: deinterlaced, and upright."""
    matrix_undone = re.fullmatch(r"rotated_(\d+)(_mirrored)?\.mp4", clip.path.name)
    for frame in deinterlaced(frames(clip)) if "interlaced" in clip.path.name else frames(clip):
        rgb = frame.to_ndarray(format="rgb24", threads=1)
        if matrix_undone:
            rgb = rgb[:, ::-1] if matrix_undone[2] else rgb
            rgb = np.rot90(rgb, -int(matrix_undone[1]) // 90)
        assert frame.pts is not None
        assert frame.time_base is not None
        yield number_in(rgb), frame.pts * frame.time_base


def frames(clip: Clip) -> Iterator[VideoFrame]:
    with av.open(str(clip.path)) as container:
        stream = next(s for s in container.streams.video if s.disposition != Disposition.attached_pic)
        yield from container.decode(stream)


def deinterlaced(interlaced: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    graph: Graph | None = None
    for frame in interlaced:
        if graph is None:
            graph = Graph()
            nodes = [
                graph.add_buffer(
                    width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
                ),
                graph.add("bwdif", "mode=send_frame"),
                graph.add("buffersink"),
            ]
            graph.link_nodes(*nodes).configure()
        graph.vpush(frame)
        yield from pulled(graph)
    if graph is not None:
        graph.vpush(None)
        yield from pulled(graph)


def pulled(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return


def number_in(rgb: Picture) -> int | None:
    try:
        return barcode.read(rgb)
    except Unreadable:
        return None


def obu_kinds(packet: bytes) -> list[int]:
    """The kinds of the units in an AV1 packet, 6 is a picture (AV1 specification, 5.3)."""
    kinds = []
    at = 0
    while at < len(packet):
        header = packet[at]
        kinds.append(header >> 3 & 15)
        at += 2 if header & 4 else 1
        size = shift = 0
        more = True
        while more:
            size |= (packet[at] & 127) << shift
            more = packet[at] > 127
            shift, at = shift + 7, at + 1
        at += size
    return kinds


def leading_pictures(clip: Clip) -> list[int]:
    """For each keyframe, how many pictures stand behind it in the file and are shown before it."""
    counts: list[int] = []
    key_pts = 0
    with av.open(str(clip.path)) as container:
        for packet in container.demux(video=0):
            if packet.pts is None:
                continue
            if packet.is_keyframe:
                counts.append(0)
                key_pts = packet.pts
            elif packet.pts < key_pts:
                counts[-1] += 1
    return counts


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="only where there are scheduling policies")
def test_making_a_video_leaves_the_thread_as_it_was(tmp_path: Path) -> None:
    before = os.sched_getscheduler(0)
    videos.av1_mp4(tmp_path)
    assert os.sched_getscheduler(0) == before
