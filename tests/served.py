"""`stillframe serve` as its users start it: a process of its own, over real HTTP.

with serve_process(folder) as server:
    server.endpoint, server.access_key_id, server.bucket
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

START_S = 60
STOP_S = 60


@dataclass(frozen=True)
class Served:
    """What a new server says: where it is, its first key, and the folder behind `oss://local`."""

    process: subprocess.Popen[str]
    endpoint: str
    access_key_id: str
    access_key_secret: str
    bucket: Path


@contextlib.contextmanager
def serve_process(folder: Path, *options: str) -> Iterator[Served]:
    """A server on a new data folder, stopped as an operator would. `options` are those of `stillframe serve`."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STILLFRAME_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "stillframe", "serve", "--port", "0", "--data-dir", str(folder), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    log: list[str] = []
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        # a full pipe would stop the server
        reading = threading.Thread(target=log.extend, args=(process.stderr,))
        reading.start()
        too_late = threading.Timer(START_S, process.kill)
        too_late.start()
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("bucket"):
                break
        too_late.cancel()
        try:
            told = re.search(
                r"API\s+http://(\S+)\s+AccessKeyId (\S+)\s+AccessKeySecret (\S+).*->  ([^\n]+)",
                said,
                re.DOTALL,
            )
            assert told is not None, said + "".join(log)
            yield Served(process, told[1], told[2], told[3], Path(told[4]))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(STOP_S)
            reading.join()
    assert process.returncode == 0, "".join(log)
