"""A stretch's shots -> frames, exactly, by presentation time and never by seeking luck.

The frame of a moment is the last one with pts <= moment. Packets tell which pts that is before anything is
decoded: so pictures that nothing needs are left out, and what comes out is checked against what was
expected. When it does not come, the same is tried from an earlier keyframe, step by step; at last the
nearest good frame within the shot's reach is taken and said to be a replacement.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from typing import Literal, NamedTuple

from av.video.frame import VideoFrame

from stillframe.media.landmarks import Odd
from stillframe.media.packets import VideoPacket, time_of
from stillframe.media.plan import Aim, is_near
from stillframe.media.reader import VideoReader

#: packets that may follow a picture's packet and still be shown before it (H.264 allows 16 reordered frames)
_REORDER_PACKETS = 18
#: packets held back to skip ahead to a later keyframe; beyond that, decoding starts from what there is
_MAX_HELD_BYTES = 64 << 20
_BACK_OFFS_S = (0, 1, 2, 4, 8, 16, 32, 64)
#: how far back decoding starts anew when the frame that should come did not
_RETRY_S = (1, 5, 20)
#: frames looked at for a replacement, at most
_MAX_REPLACEMENT_FRAMES = 3000

Status = Literal["taken", "replaced", "missing"]


class Taken(NamedTuple):
    """What was found for one shot: its frame, and how."""

    shot: int
    status: Status
    frame: VideoFrame | None
    pts: int | None = None
    keyframe: bool = False
    reason: str | None = None


class Reach(NamedTuple):
    """How far from its moment, in ticks, a shot may take a replacement, and an intra shot its keyframe."""

    replacement: int
    keyframe: int | None


class FrameTaker:
    """Takes frames out of one reader."""

    def __init__(self, reader: VideoReader, first_pts: int, *, interlaced: bool = False) -> None:
        self._reader = reader
        #: a frame may come in two packets, one for each field, with a time of its own for each
        self._fields = interlaced
        self._can_skip_nonref = reader.can_skip_nonref and not interlaced
        self._first_pts = first_pts
        self._ticks = int(1 / reader.time_base) or 1
        #: the times of frames that came out damaged
        self._damaged: set[int] = set()
        #: since decoding broke, everything up to the next keyframe may look broken, whatever the decoder says
        self._broken = False
        self._suspect: set[int | None] = set()
        #: for moments whose own frame has not come (yet), the frame that lasts up to them
        self._of_first_field: dict[int, VideoFrame] = {}
        #: of the keyframe packets that were read last: not every decoder marks its frames
        self._keyframe_times: deque[int] = deque(maxlen=64)
        #: the container gives no presentation times: only the frames themselves tell
        self._untimed = False

    def exact(self, run: Sequence[Aim], reach: Reach) -> Iterator[Taken]:
        """The frames on screen at the moments of a run, which ascend; in the order in which they are got."""
        self._damaged.clear()
        start = run[0].anchor if run[0].anchor is not None else run[0].moment
        missed: dict[int, int] = {}
        for position, expected, frame in self._pass([aim.moment for aim in run], start):
            if frame is not None:
                yield self._taken(run[position], frame)
            else:
                missed[position] = expected
        for position, expected in missed.items():
            yield self._try_harder(run[position], expected, reach)

    def keyframe(self, run: Sequence[Aim], reach: Reach) -> Iterator[Taken]:
        """The keyframe that all shots of a run share."""
        wanted = run[0].keyframe
        assert wanted is not None
        self._damaged.clear()
        frame = self._one_keyframe(wanted)
        for aim in run:
            if frame is not None and self._is_good(frame):
                yield self._taken(aim, frame)
            else:
                yield self._try_harder(Aim(aim.shot, wanted, anchor=wanted), wanted, reach)

    def find_keyframe(self, moment: int, reach: int | None) -> int | None:
        """The time of the keyframe nearest to a moment, for containers without an index; None: none in reach."""
        with contextlib.suppress(Odd):
            return self._reader.nearest_keyframe(moment, reach)
        landed = self._land(moment)
        best = time_of(landed) if landed is not None and landed.is_keyframe else None
        while (packet := self._next()) is not None:
            time = time_of(packet)
            if time is None:
                continue
            if packet.is_keyframe and not packet.is_discard:
                if best is None or abs(time - moment) < abs(best - moment):
                    best = time
                if time > moment:
                    break
            # what is farther away than the best one is of no use
            spans = [
                span for span in (reach, None if best is None else abs(moment - best)) if span is not None
            ]
            if spans and time > moment + min(spans) + self._ticks:
                break
        return best if best is not None and is_near(best, moment, reach) else None

    def candidates(self, start: int, end: int, step: int) -> Iterator[VideoFrame]:
        """The frames to choose from when dark ones are left out: the one at `start`, the keyframes up to `end`,
        then one every `step` ticks."""
        first = next((frame for frame in self._frames_from(start, end) if self._is_good(frame)), None)
        if first is None or first.pts is None:
            return
        yield first
        for time in self._keyframes_between(first.pts + 1, end):
            frame = self._one_keyframe(time)
            if frame is not None and self._is_good(frame):
                yield frame
        following, before = first.pts + step, first
        for frame in self._frames_from(following, end):
            if frame.pts is None or not self._is_good(frame):
                continue
            if frame.pts > following:
                yield before
                following += step * -(-(frame.pts - following) // step)
            before = frame
        yield before

    def _pass(self, moments: Sequence[int], start: int) -> Iterator[tuple[int, int, VideoFrame | None]]:
        """Decode once from the keyframe at or before `start`: (position of the moment, expected time, frame).

        Moments whose frame did not come are given last, without one.
        """
        reader = self._reader
        landed = self._land(min(start, moments[0]))
        held: deque[VideoPacket] = deque([landed] if landed is not None else [])
        fed: deque[int] = deque(maxlen=64)
        waiting: dict[int, int] = {}
        shown: list[VideoFrame] = []
        self._of_first_field.clear()
        for position, moment in enumerate(moments):
            while not self._hold_beyond(held, moment):
                # more than may be held lies before the moment: decode some of it without leaving any out
                shown += self._feed(held.popleft(), fed)
                yield from self._assign(shown, waiting)
            if _skip_to_keyframe(held, moment) and fed:
                shown += reader.drain()
                yield from self._assign(shown, waiting)
                reader.flush()
                fed.clear()
            if self._untimed:
                yield from self._pass_by_frames(moments, sorted({*waiting, *range(position, len(moments))}))
                return
            times = [time for packet in held if (time := _shown_time(packet)) is not None]
            known = sorted({*times, *fed})
            if not known:
                waiting[position] = moment
                continue
            # before the very first picture, that one stands
            target = _last_at(known, moment, known[0])
            waiting[position] = target
            soon = takewhile(known[-1].__ge__, islice(moments, position, None))
            wanted = {target, *(_last_at(known, other, known[0]) for other in soon)}
            while target in times and held:
                packet = held.popleft()
                shown += self._feed(packet, fed, skip_nonref=time_of(packet) not in wanted)
                yield from self._assign(shown, waiting)
                if time_of(packet) == target:
                    break
            if self._fields and held and target in times:
                shown += self._feed(held.popleft(), fed)
            yield from self._assign(shown, waiting)
        shown += reader.drain()
        yield from self._assign(shown, waiting)
        reader.flush()
        for position, target in waiting.items():
            yield position, target, self._of_first_field.get(position)

    def _feed(self, packet: VideoPacket, fed: deque[int], *, skip_nonref: bool = False) -> list[VideoFrame]:
        time = _shown_time(packet)
        if time is not None:
            fed.append(time)
        return self._decode(packet, skip_nonref=skip_nonref and self._can_skip_nonref)

    def _decode(self, packet: VideoPacket, *, skip_nonref: bool = False) -> list[VideoFrame]:
        """Decode one packet, and keep account of what builds on damage."""
        errors = self._reader.decode_errors
        if packet.is_keyframe:
            self._broken = False
        frames = self._reader.feed(packet, skip_nonref=skip_nonref)
        failed = packet.is_corrupt or self._reader.decode_errors > errors
        if self._broken or failed:
            self._suspect.add(time_of(packet))
        if any(frame.is_corrupt for frame in frames) or (failed and not packet.is_disposable):
            self._broken = True
        return frames

    def _is_good(self, frame: VideoFrame) -> bool:
        return not frame.is_corrupt and frame.pts not in self._suspect

    def _assign(
        self, shown: list[VideoFrame], waiting: dict[int, int]
    ) -> Iterator[tuple[int, int, VideoFrame | None]]:
        """Give the moments that wait what has come out for them; keep the last frames for moments to come."""
        by_time = {frame.pts: frame for frame in shown}
        for position, target in list(waiting.items()):
            frame = by_time.get(target)
            if frame is None:
                if self._fields:
                    # it may be the time of a second field: its frame has the time of the first
                    first = next((shot for shot in shown if _lasts_until(shot, target)), None)
                    if first is not None and self._is_good(first):
                        self._of_first_field[position] = first
                continue
            if not self._is_good(frame):
                self._damaged.add(target)
            else:
                del waiting[position]
                yield position, target, frame
        del shown[:-2]

    def _pass_by_frames(
        self, moments: Sequence[int], positions: Sequence[int]
    ) -> Iterator[tuple[int, int, VideoFrame | None]]:
        """As `_pass`, where packets have no presentation times: decode all, and go by the frames' own times."""
        before: VideoFrame | None = None
        left = deque(positions)
        for frame in self._frames_from(moments[left[0]], moments[-1]):
            while left and before is not None and (frame.pts or 0) > moments[left[0]]:
                yield left[0], moments[left[0]], before
                left.popleft()
            before = frame
        for position in left:
            yield position, moments[position], before

    def _hold_beyond(self, held: deque[VideoPacket], moment: int) -> bool:
        """Read on until what is held surely has the packet of a moment; False when it is too much to hold."""
        beyond, held_bytes = 0, 0
        for packet in held:
            beyond = beyond + 1 if beyond or _is_after(packet, moment) else 0
            held_bytes += packet.size
        while beyond < _REORDER_PACKETS:
            if held_bytes > _MAX_HELD_BYTES:
                return False
            following = self._next()
            if following is None:
                break
            self._untimed = self._untimed or (following.pts is None and following.dts is not None)
            beyond = beyond + 1 if beyond or _is_after(following, moment) else 0
            held_bytes += following.size
            held.append(following)
        return True

    def _next(self) -> VideoPacket | None:
        packet = self._reader.next_packet()
        if packet is not None and packet.is_keyframe and (time := time_of(packet)) is not None:
            self._keyframe_times.append(time)
        return packet

    def _land(self, moment: int) -> VideoPacket | None:
        """Move the reader to a keyframe at or before a moment and give its packet; at worst the very first one."""
        reader = self._reader
        self._broken = False
        self._suspect.clear()
        for back_off in _BACK_OFFS_S:
            target = moment - back_off * self._ticks
            if not reader.seek(target):
                break
            packet = self._read_to_keyframe(moment)
            if packet is not None:
                return packet
            if target < self._first_pts:
                break
        reader.rewind()
        return self._next()

    def _read_to_keyframe(self, moment: int) -> VideoPacket | None:
        while (packet := self._next()) is not None:
            time = time_of(packet)
            if packet.is_keyframe:
                return packet if time is not None and time <= moment else None
            if time is not None and time > moment + self._ticks:
                return None
        return None

    def _one_keyframe(self, wanted: int) -> VideoFrame | None:
        known = self._reader.lone_first
        if known is not None and known.pts == wanted:
            return known
        packet = self._land(wanted)
        while packet is not None and not (packet.is_keyframe and time_of(packet) == wanted):
            time = packet.dts if packet.dts is not None else packet.pts
            if time is not None and time > wanted:
                return None
            packet = self._next()
        if packet is None or packet.is_discard:
            return None
        frames = self._decode(packet)
        if self._fields and (second := self._next()) is not None:
            frames += self._decode(second)
        frames += self._reader.drain()
        self._reader.flush()
        return next((frame for frame in frames if frame.pts == wanted), None)

    def _taken(
        self, aim: Aim, frame: VideoFrame, status: Status = "taken", reason: str | None = None
    ) -> Taken:
        keyframe = bool(frame.key_frame) or frame.pts in self._keyframe_times
        return Taken(aim.shot, status, frame, frame.pts, keyframe, reason)

    def _try_harder(self, aim: Aim, expected: int, reach: Reach) -> Taken:
        """From earlier keyframes; then the nearest good frame within reach; else missing."""
        start = aim.anchor if aim.anchor is not None else aim.moment
        # what came out damaged comes out damaged from every keyframe
        for seconds in () if expected in self._damaged else _RETRY_S:
            earlier = max(start - seconds * self._ticks, self._first_pts)
            for _, target, frame in self._pass([aim.moment], earlier):
                expected = target
                if frame is not None:
                    return self._taken(aim, frame)
            if earlier == self._first_pts:
                break
        errors = self._reader.decode_errors
        frame, all_good = self._nearest_good(aim.moment, reach.replacement)
        if frame is not None and frame.pts is not None:
            on_screen = frame.pts <= aim.moment and all_good and self._reader.decode_errors == errors
            if frame.pts == expected or on_screen:
                # the packet that was expected holds no picture to show (an alternate reference frame)
                return self._taken(aim, frame)
            shift_ms = float((frame.pts - aim.moment) * self._reader.time_base) * 1000
            reason = (
                f"the frame there is damaged; the nearest good one, {shift_ms:+.0f} ms away, stands for it"
            )
            return self._taken(aim, frame, "replaced", reason)
        damaged = "the frame there is damaged, and there is no good one near it"
        reason = damaged if expected in self._damaged else "nothing there can be decoded"
        return Taken(aim.shot, "missing", None, reason=reason)

    def _nearest_good(self, moment: int, reach: int) -> tuple[VideoFrame | None, bool]:
        """The good frame shown nearest to a moment, and whether all frames up to it were good.

        Everything is decoded, and the frames' own times choose.
        """
        best: VideoFrame | None = None
        distance, all_good = reach, True
        for frame in self._frames_from(moment - reach, moment + reach):
            if not self._is_good(frame):
                all_good = False
            elif frame.pts is not None and abs(frame.pts - moment) <= distance:
                best, distance = frame, abs(frame.pts - moment)
            if best is not None and frame.pts is not None and frame.pts - moment >= distance:
                break
        return best, all_good

    def _keyframes_between(self, start: int, end: int) -> list[int]:
        """The times of the keyframes from `start` to `end`, by reading the packets."""
        found = []
        packet = self._land(start)
        while packet is not None:
            time = time_of(packet)
            if time is not None and time > end + self._ticks:
                break
            if packet.is_keyframe and not packet.is_discard and time is not None and start <= time <= end:
                found.append(time)
            packet = self._next()
        return found

    def _frames_from(self, start: int, end: int) -> Iterator[VideoFrame]:
        """Every frame from the one on screen at `start` up to `end`, decoded in full."""
        before: VideoFrame | None = None
        for number, frame in enumerate(self._decode_all(self._land(start))):
            if frame.pts is None or number > _MAX_REPLACEMENT_FRAMES:
                continue
            if frame.pts <= start:
                before = frame
                continue
            if before is not None:
                yield before
                before = None
            if frame.pts > end:
                return
            yield frame
        if before is not None:
            yield before

    def _decode_all(self, packet: VideoPacket | None) -> Iterator[VideoFrame]:
        while packet is not None:
            yield from self._decode(packet)
            packet = self._next()
        yield from self._reader.drain()


def _shown_time(packet: VideoPacket) -> int | None:
    """When a packet is shown; None for one that an edit list leaves out."""
    return None if packet.is_discard else time_of(packet)


def _last_at(times: Sequence[int], moment: int, otherwise: int) -> int:
    """The last of the sorted times that is not later than a moment."""
    position = bisect_right(times, moment)
    return times[position - 1] if position else otherwise


def _lasts_until(frame: VideoFrame, time: int) -> bool:
    return frame.pts is not None and frame.pts < time <= frame.pts + (frame.duration or 0)


def _is_after(packet: VideoPacket, moment: int) -> bool:
    time = time_of(packet)
    return time is not None and time > moment


def _skip_to_keyframe(held: deque[VideoPacket], moment: int) -> bool:
    """Drop what lies before the last held keyframe from which a moment can be decoded; whether any was dropped."""
    position = 0
    for number, packet in enumerate(held):
        time = time_of(packet)
        if packet.is_keyframe and time is not None and time <= moment:
            position = number
    for _ in range(position):
        held.popleft()
    return position > 0
