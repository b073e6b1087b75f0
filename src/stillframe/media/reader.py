"""libav on a leash: one container, one video stream, packets in and frames out, everything counted.

Every open passes an allow-list of demuxers and an empty list of protocols, and reads through a `SourceFile`:
libav never opens anything by itself (an ffconcat script or an SDP that is read from memory otherwise opens
other files and binds ports).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any, ClassVar, cast

import av
import av.error
import av.logging
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stillframe.errors import MediaError
from stillframe.media.landmarks import Odd
from stillframe.media.packets import PacketFeed, StoredPacket, VideoPacket
from stillframe.media.source import ByteSource, SourceFile

#: demuxers that only read the bytes they are given, and whose files may hold video
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,live_flv,asf,ogg,mxf,gif,"
    "h264,hevc,m4v,av1,obu,ivf,dv,rm,nut,vc1,h263,h261,wtv,nsv,amv,xmv,ea,bink,smk,roq,y4m,"
    "yuv4mpegpipe,evc,vvc,gxf,mtv,swf,avs,mp3,aac,flac,wav"
)
#: larger frames than 16384 x 8640 are refused before memory is taken for them
MAX_PIXELS = 16_384 * 8_640
_BUFFER_BYTES = 32 << 10
_MAX_BROKEN_READS = 8
_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})

# what matters reaches the report. Any level that PyAV could be given would make it take Python's lock for each line
# that libav might log, of which there are thousands in an open: None drops them in C
av.logging.set_level(None)


class VideoReader:
    """One container on a source, positioned and decoded by its one user; not for two threads at once.

    Times are presentation timestamps (pts) in ticks of `time_base` seconds.
    """

    #: what libav's demuxer is told besides what it may open
    open_options: ClassVar[Mapping[str, str]] = _NO_OPTIONS
    #: the demuxer, where that is known; None: libav finds it out
    container_format: str | None = None

    def __init__(self, source: ByteSource, stream_index: int | None = None) -> None:
        self.source = source
        self.packets_read = 0
        self.packets_decoded = 0
        self.frames_decoded = 0
        self.decode_errors = 0
        #: the first picture, where it is a keyframe that was decoded alone already
        self.lone_first: VideoFrame | None = None
        #: where packets come from when not from the container
        self.packet_feed: PacketFeed | None = None
        self._file = self._new_file()
        self._skipping = False
        self.container = self._opened()
        try:
            self._choose_and_prepare(stream_index)
        except BaseException:
            self.container.close()
            raise

    def follow(self, packet_feed: PacketFeed) -> None:
        """Take the packets from a feed from now on, and from its beginning; the container only tells of them."""
        self.packet_feed = packet_feed
        self.flush()

    def seek(self, pts: int) -> bool:
        """Go to a keyframe at or before `pts`, as the container understands it; False when it cannot."""
        if self.packet_feed is not None:
            self.flush()
            return self.packet_feed.seek(pts)
        self._packets = self.demux(self.stream.index)
        try:
            self.container.seek(pts, stream=self.stream, backward=True)
        except (av.error.FFmpegError, OverflowError):
            self._file.raise_error()
            return False
        finally:
            self.flush()
        return True

    def rewind(self) -> None:
        """Go to the very first packet, by opening the source again: no seek is sure to find it."""
        if self.packet_feed is not None:
            self.flush()
            self.packet_feed.rewind()
            return
        index = self.stream.index
        self.container.close()
        self._file = self._new_file()
        self.container = self._opened()
        self._choose_and_prepare(index)

    def seek_near_end(self) -> bool:
        """Go to where the last pictures are, and read little to get there; False when that is not known."""
        return False

    def nearest_keyframe(self, pts: int, reach: int | None) -> int | None:
        """The time of the keyframe nearest to `pts`, at most `reach` ticks away (None: any); None when there is none.

        Raises Odd where only reading on from keyframe to keyframe can tell.
        """
        raise Odd("there is no plan for finding keyframes")

    def next_packet(self) -> VideoPacket | None:
        """The next packet of the video in decode order; None at the end, or where nothing more can be read."""
        feed = self.packet_feed
        packet = feed.next_packet() if feed is not None else next(self._packets, None)
        if packet is not None:
            self.packets_read += 1
        return packet

    def is_lost(self, moment: int, pts: int) -> bool:
        """Whether something damaged lies between a picture at `pts` and a moment: it is not what is shown then."""
        return self.packet_feed is not None and self.packet_feed.is_lost(moment, pts)

    def choose(self, stream_id: int) -> None:
        """Read the video stream with this id (a PID, a track), if there is one; before anything else was read."""
        for stream in self.container.streams.video:
            if stream.id == stream_id and stream.index != self.stream.index and has_decoder(stream):
                self._choose_and_prepare(stream.index)
                return

    def demux(self, *indexes: int) -> Iterator[Packet[Any]]:
        """The packets of some streams from where the container is, past what is broken, as far as it goes.

        They are called by their indexes: a `Stream` points into the container that `rewind` closes.
        """
        broken_reads = 0
        packets = self.container.demux(*self._streams(indexes))
        while broken_reads < _MAX_BROKEN_READS:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                self._file.raise_error()
                broken_reads += 1
                packets = self.container.demux(*self._streams(indexes))
                continue
            except IndexError:
                # PyAV's way to meet a packet of a stream that has turned up only now; the packet is skipped
                packets = self.container.demux(*self._streams(indexes))
                continue
            if packet is None or (packet.size == 0 and packet.pts is None):
                return
            yield packet

    def feed(self, packet: VideoPacket, *, skip_nonref: bool = False) -> list[VideoFrame]:
        """Decode one packet; a packet that is damaged gives no frames and is counted."""
        if skip_nonref != self._skipping:
            self._context.skip_frame = "NONREF" if skip_nonref else "DEFAULT"
            self._skipping = skip_nonref
        self.packets_decoded += 1
        return self._decode(packet if isinstance(packet, Packet) else cast(StoredPacket, packet).load())

    def drain(self) -> list[VideoFrame]:
        """The frames that the decoder still holds; it must be flushed, or the reader moved, after that."""
        return self._decode(None)

    def flush(self) -> None:
        """Forget what was decoded, before going on from another keyframe."""
        self._context.flush_buffers()
        if self._skipping:
            self._context.skip_frame = "DEFAULT"
            self._skipping = False

    def listen(self, indexes: Iterable[int], *, on: bool = True) -> None:
        """Have libav keep the packets of other streams than the video, or leave them out again."""
        for stream in self._streams(indexes):
            stream.discard = Discard.default if on else Discard.all

    def _streams(self, indexes: Iterable[int]) -> list[Stream]:
        return [self.container.streams[index] for index in indexes]

    def close(self) -> None:
        """Close the container; the source stays open."""
        self.container.close()

    def leave_feed(self) -> None:
        """Read what the container has, from its beginning, again."""
        self.packet_feed = None
        self.rewind()

    def _opened(self) -> InputContainer:
        return open_container(
            self._file, self.source.name, options=self.open_options, container_format=self.container_format
        )

    def _new_file(self) -> SourceFile:
        return SourceFile(self.source)

    def _choose_and_prepare(self, index: int | None) -> None:
        self.stream = self._choose(index)
        for stream in self.container.streams:
            stream.discard = Discard.default if stream.index == self.stream.index else Discard.all
        self.time_base: Fraction = self.stream.time_base or Fraction(1, 1_000_000)
        self.codec_name = self.stream.codec_context.name
        #: whether frames that no other frame needs can be left out; VP9 gains nothing, dav1d returns nothing
        self.can_skip_nonref = self.codec_name in ("h264", "hevc")
        #: the transfer that the container's own colour tags name (ITU-T H.273), before any picture is decoded
        self.container_trc = int(self.stream.codec_context.color_trc)
        self._context = self._decoder()
        self._skipping = False
        self._packets = self.demux(self.stream.index)

    def _choose(self, index: int | None) -> VideoStream:
        """The video stream: never a cover picture; the default one, then the largest of many pictures."""
        if index is not None:
            stream = self.container.streams[index]
            assert isinstance(stream, VideoStream)
            return stream
        pictures = Disposition.attached_pic | Disposition.timed_thumbnails
        videos = list(self.container.streams.video)
        real = [stream for stream in videos if not stream.disposition & pictures]
        if not real:
            if videos:
                raise MediaError(self.source.name, "cover-only", "holds a cover picture but no video")
            if self.container.streams.audio:
                raise MediaError(self.source.name, "audio-only", "holds sound but no video")
            raise MediaError(self.source.name, "no-picture", "there is no video stream in it")
        known = [stream for stream in real if has_decoder(stream)]
        if not known:
            raise MediaError(self.source.name, "unknown-codec", "its video codec is not known")
        return max(
            known,
            key=lambda stream: (
                bool(stream.disposition & Disposition.default),
                # a motion photo has a second, larger stream of very few pictures
                min(stream.frames or 5, 5),
                stream.codec_context.width * stream.codec_context.height,
                -stream.index,
            ),
        )

    def _decoder(self) -> VideoCodecContext:
        """The stream's decoder on one thread: threads of ours share the shots instead."""
        context = self.stream.codec_context
        name = context.name
        if self.stream.metadata.get("alpha_mode") == "1" and name in ("vp8", "vp9"):
            # libav's own decoders leave out the alpha channel of WebM, libvpx's do not
            context = CodecContext.create("libvpx" if name == "vp8" else "libvpx-vp9", "r")
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_PIXELS)}
        return context

    def _decode(self, packet: Packet[Any] | None) -> list[VideoFrame]:
        try:
            frames = self._context.decode(packet)
        except av.error.MemoryError:
            raise
        except (av.error.FFmpegError, ValueError):
            # ValueError: a frame of a pixel format that PyAV does not know
            self.decode_errors += 1
            return []
        self.frames_decoded += len(frames)
        return frames


def open_container(
    file: SourceFile,
    name: str,
    demuxers: str = DEMUXERS,
    options: Mapping[str, str] = _NO_OPTIONS,
    container_format: str | None = None,
) -> InputContainer:
    """What libav makes of a file, by one of these demuxers. Raises MediaError for what is none, and SourceError."""
    try:
        container = av.open(
            file,
            format=container_format,
            options={
                **options,
                "format_whitelist": demuxers,
                "protocol_whitelist": "",
            },
            buffer_size=_BUFFER_BYTES,
            metadata_errors="replace",
        )
        assert isinstance(container, InputContainer)
        return container
    except (av.error.FFmpegError, ValueError) as error:
        file.raise_error()
        raise MediaError(
            name,
            "damaged",
            "cannot be opened as a video: the file is damaged or of no known kind",
        ) from error


def has_decoder(stream: VideoStream) -> bool:
    """Whether the codec of a stream is known."""
    with contextlib.suppress(AttributeError, ValueError):
        return bool(stream.codec_context is not None and stream.codec_context.codec.is_decoder)
    return False
