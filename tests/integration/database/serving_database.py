"""Servers that do nothing but keep their database, each in a fork of this process, which has imported all it needs.

Run as: serving_database.py SOCKET. Each connection is one server: it is told the data folder (and whether
namespaces are to be refused) in a line of JSON, tells of each step in such lines, and stops when it is hung up on.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from stillframe.database.embedded import EmbeddedPostgres
from stillframe.errors import StillframeError


def main() -> None:
    """Serve until standard input ends."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    print("listening", flush=True)
    while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [], 0.2)[0]):
        while reap():
            pass
        if not ready:
            continue
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            serve(connection)
        connection.close()


def reap() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def serve(connection: socket.socket) -> None:
    """The life of one server, to the end of its process."""
    stream = connection.makefile("rw")
    request = json.loads(stream.readline())

    def tell(event: str, **facts: object) -> None:
        stream.write(json.dumps({"event": event, "server_pid": os.getpid(), **facts}, default=str) + "\n")
        stream.flush()

    if request["refuse_namespaces"]:
        refuse_namespaces()
    try:
        keep(Path(request["data_dir"]), tell, stream.readline)
    except StillframeError as error:
        tell("refused", kind=type(error).__name__, message=str(error))
    except BaseException as error:
        tell("mistake", message=repr(error))
    os._exit(0)


def keep(data_dir: Path, tell: Callable[..., None], wait: Callable[[], str]) -> None:
    def facts() -> dict[str, object]:
        return {
            name: getattr(postgres, name) for name in ("pid", "supervisor_pid", "runs_as", "socket_folder")
        }

    postgres = EmbeddedPostgres(data_dir, on_restart=lambda: tell("restarted", **facts()))
    postgres.start()
    tell("ready", **facts())
    wait()
    postgres.stop()


def refuse_namespaces() -> None:
    """Into a user namespace where everybody is who they were, but in which no other can be made."""
    clone_newuser = 0x10000000
    # the maps must be written by somebody outside, who may map more than one user
    go, gone = os.pipe()
    server = os.getpid()
    writer = os.fork()
    if writer == 0:
        os.read(go, 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{server}/{name}").write_text("0 0 65536")
        os._exit(0)
    if ctypes.CDLL(None, use_errno=True).unshare(clone_newuser) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    os.write(gone, b"x")
    os.waitpid(writer, 0)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


if __name__ == "__main__":
    # the test that hangs up on a server that tells something more is none of the server's business
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    main()
