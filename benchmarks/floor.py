"""The floor: the smallest PyAV loop that decodes just the frames Stillframe is asked for, and does nothing else.

    python benchmarks/floor.py FILE --gop 250 --pick keyframe --count 100 --step-ms 36000

No probing, no index to read, no planning, no scaling, no JPEG, nothing written: the loop knows beforehand what
is true of the benchmark's own files only (25 frames a second from 0, keyframes at the multiples of the GOP).
Like Stillframe it groups the wanted frames by GOP, gives each thread a container of its own with a
single-threaded decoder, decodes a GOP up to its last wanted frame, and skips on the way the pictures that no
other refers to. It prints the timestamps of the decoded frames (the benchmark checks that both decoded the
same), and its seconds after its imports.
"""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, groupby

import av

from catalogue import FRAMES_PER_SECOND

TICKS_PER_FRAME = 512  # the benchmark's files have a time base of 1/12800 s


def main() -> None:
    """Decode the frames that the command line asks for and print their timestamps as JSON."""
    parser = argparse.ArgumentParser(description="Decode just the wanted frames, with the smallest loop.")
    parser.add_argument("file")
    parser.add_argument("--gop", type=int, required=True, help="frames from one keyframe to the next")
    parser.add_argument("--pick", choices=("keyframe", "exact"), required=True)
    parser.add_argument("--first-ms", type=int, default=0)
    parser.add_argument("--step-ms", type=int, default=0)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    moments_ms = [options.first_ms + index * options.step_ms for index in range(options.count)]
    pick = nearest_keyframe if options.pick == "keyframe" else frame_on_screen
    gops = [
        (first, list(frames))
        for first, frames in groupby(
            (pick(moment_ms, options.gop) for moment_ms in moments_ms),
            key=lambda frame: frame - frame % options.gop,
        )
    ]
    share = -(-len(gops) // options.threads)
    shares = [gops[start : start + share] for start in range(0, len(gops), share)]
    began = time.perf_counter()
    with ThreadPoolExecutor(len(shares)) as pool:
        found = [*chain.from_iterable(pool.map(lambda gops: decode(options.file, gops), shares))]
    print(json.dumps({"pts": found, "seconds": time.perf_counter() - began}))


def frame_on_screen(moment_ms: int, gop: int) -> int:
    """Number of the last frame that begins at or before the moment."""
    return moment_ms * FRAMES_PER_SECOND // 1000


def nearest_keyframe(moment_ms: int, gop: int) -> int:
    """Number of the keyframe that begins nearest to the moment."""
    return round(moment_ms * FRAMES_PER_SECOND / 1000 / gop) * gop


def decode(file: str, gops: list[tuple[int, list[int]]]) -> list[int]:
    """Decode the frames of each GOP, given as (number of its keyframe, wanted frames); return their pts."""
    found: list[int] = []
    with av.open(file) as container:
        stream = container.streams.video[0]
        decoder = stream.codec_context
        decoder.thread_count, decoder.thread_type = 1, "NONE"
        for keyframe, frames in gops:
            wanted = {frame * TICKS_PER_FRAME for frame in frames}
            missing = set(wanted)
            container.seek(keyframe * TICKS_PER_FRAME, stream=stream)
            for packet in container.demux(stream):
                decoder.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
                found += [frame.pts for frame in decoder.decode(packet) if frame.pts in wanted]
                missing.discard(packet.pts)
                if not missing:
                    break
            found += [frame.pts for frame in decoder.decode(None) if frame.pts in wanted]
    return found


if __name__ == "__main__":
    main()
