"""One contestant of the far benchmark, in a process of its own: prints the seconds after its imports, and its peak.

    python benchmarks/far_shot.py stillframe s3://films/film.mp4 --work '{"count": 1}' --template '{Count}.jpg'

`stillframe` reads by ranges, `download` fetches the whole object and then does the same, `libav` decodes just the
wanted frames of the address by itself, and scales and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av

import stillframe
import stillframe.media.darkroom
import stillframe.media.finish
import stillframe.media.render
from stillframe import SnapshotConfig, shoot
from stillframe.storage import remote
from stillframe.storage.by_address import open_input, parse_input

assert remote is not None
assert stillframe.media is not None
THREADS = 2
HURRY = {"timeout": "600000000"}


def main() -> None:
    """Do the work once, and print what it took as JSON."""
    parser = argparse.ArgumentParser(description="Make pictures of a video that lies far away.")
    parser.add_argument("way", choices=("stillframe", "download", "libav"))
    parser.add_argument("address")
    parser.add_argument(
        "--work", type=json.loads, required=True, help="parameters of SnapshotConfig, as JSON"
    )
    parser.add_argument("--template", default="{Count}.jpg")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stillframe-bench-") as folder:
        began = time.perf_counter()
        match options.way:
            case "stillframe":
                config = SnapshotConfig(**options.work)
                if "://" in options.address:
                    with open_input(parse_input(options.address)) as source:
                        report = shoot(source, f"{folder}/{options.template}", config)
                else:
                    report = shoot(options.address, f"{folder}/{options.template}", config)
                assert report.ok
            case "download":
                film = Path(folder) / Path(options.address).name
                with urllib.request.urlopen(options.address) as answer, film.open("wb") as file:
                    shutil.copyfileobj(answer, file, 1 << 20)
                assert shoot(film, f"{folder}/{options.template}", SnapshotConfig(**options.work)).ok
            case "libav":
                decode(options.address, SnapshotConfig(**options.work))
        seconds = time.perf_counter() - began
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak_mib}))


def decode(address: str, config: SnapshotConfig) -> None:
    """Decode the wanted frames, shared between the threads, each with the address open by itself."""
    with av.open(address, options=HURRY) as container:
        duration_ms = (container.duration or 0) // 1000
    count = config.count or 1
    step_ms = (duration_ms - config.time) // count if count > 1 else 0
    moments_ms = [config.time + k * step_ms for k in range(count)]
    shares = [moments_ms[k::THREADS] for k in range(THREADS) if moments_ms[k::THREADS]]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda share: _decode_share(address, share, config.frame_type == "intra"), shares))


def _decode_share(address: str, moments_ms: list[int], keyframes_only: bool) -> None:
    with av.open(address, options=HURRY) as container:
        stream = container.streams.video[0]
        decoder = stream.codec_context
        decoder.thread_count, decoder.thread_type = 1, "NONE"
        assert stream.time_base is not None
        for moment_ms in moments_ms:
            target = int(moment_ms / 1000 / stream.time_base) + (stream.start_time or 0)
            container.seek(target, stream=stream)
            decoder.flush_buffers()
            for frame in container.decode(stream):
                if keyframes_only or (frame.pts or 0) + (frame.duration or 1) > target:
                    break


if __name__ == "__main__":
    main()
