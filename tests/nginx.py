"""nginx from Debian, for the tests that put it before a server, or read from it; started and stopped by them.

Where it is not installed those tests are skipped and say so. With `CI_NGINX=required` they fail instead: a run in which
nothing was proven is not to be green.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def listeners(number: int) -> Iterator[list[socket.socket]]:
    """Sockets that nginx is to inherit, so that no port is taken by another one in between."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        for each in sockets:
            each.setblocking(False)
        yield sockets


@contextmanager
def nginx(folder: Path, http: str, inherited: Sequence[socket.socket]) -> Iterator[None]:
    """The process, with what stands in its block `http`, until the end."""
    if PROGRAM is None:
        reason = "nginx is not installed (apt-get install nginx)"
        if os.environ.get("CI_NGINX") == "required":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    # the tests' folders are closed to the user that it would take else
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"daemon off; {user} pid {folder}/nginx.pid; worker_processes 1; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ {temporary}\n{http}\n}}\n"
    )
    process = subprocess.Popen(
        [PROGRAM, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")],
        env={**os.environ, "NGINX": "".join(f"{each.fileno()};" for each in inherited)},
        pass_fds=[each.fileno() for each in inherited],
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()
