"""A server that does nothing but keep its database: told to stop by standard input, it tells of each step in JSON.

Run as: serving_database.py FOLDER [refuse-namespaces]
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path


def main() -> None:
    if "refuse-namespaces" in sys.argv:
        refuse_namespaces()
    from stillframe.database.embedded import EmbeddedPostgres
    from stillframe.errors import StillframeError

    postgres = EmbeddedPostgres(Path(sys.argv[1]), on_restart=lambda: tell("restarted", postgres))
    try:
        postgres.start()
    except StillframeError as error:
        print(
            json.dumps({"event": "refused", "kind": type(error).__name__, "message": str(error)}), flush=True
        )
        sys.exit(2)
    tell("ready", postgres)
    sys.stdin.readline()
    postgres.stop()
    print(json.dumps({"event": "stopped"}), flush=True)


def tell(event: str, postgres: object) -> None:
    names = ("pid", "supervisor_pid", "runs_as", "socket_folder")
    facts = {name: getattr(postgres, name) for name in names}
    print(json.dumps({"event": event, **facts, "server_pid": os.getpid()}, default=str), flush=True)


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
    main()
