"""A real server in a process of its own, started as its users start it.

with serving(tmp_path / "data") as server:
    run(["job", "list"], tmp_path, env=server.env)
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from the_command import COMMAND, DEADLINE_S


@dataclass(frozen=True, slots=True)
class Server:
    """A server that takes requests, and the key that it has made for a new data folder."""

    data_dir: Path
    process: subprocess.Popen[str]
    url: str
    key: tuple[str, str]
    #: logs in to the console, once
    link: str

    @property
    def env(self) -> dict[str, str]:
        """What commands need to find the data folder."""
        return {"STILLFRAME_DATA_DIR": str(self.data_dir)}

    @property
    def bucket(self) -> Path:
        """The folder of oss://local."""
        return self.data_dir / "buckets" / "local"


@contextmanager
def serving(data_dir: Path, *options: str) -> Iterator[Server]:
    """A server on a free port, stopped at the end."""
    log = data_dir.with_name(f"{data_dir.name}.log")
    with log.open("w") as complaints:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", "--data-dir", str(data_dir), *options],
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("STILLFRAME_")},
        )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("bucket "):
                break
        url = re.search(r"API +(http://\S+)", said)
        key = re.search(r"AccessKeyId (\S+)\s+AccessKeySecret (\S+)", said)
        assert url, said + log.read_text()
        assert key, said + log.read_text()
        link = re.search(r"console +(http://\S+)", said)
        assert link, said
        yield Server(data_dir, process, url[1], (key[1], key[2]), link[1])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()
