"""Make every attempt from inside the sandbox and say as JSON what came of it. Run by test_sandbox_proofs.py.

    python sandbox_proofs.py FOLDER

As whichever user: it lays out its own traps, shows by a control that each attempt works where nothing is locked,
and then has them made by locked-in children.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from sandbox_attacks import ATTEMPTS, FACTS, Aims, outcome

from stillframe import FileSource, SnapshotConfig
from stillframe.errors import ChildKilled
from stillframe.sandbox.layers import available_layers
from stillframe.sandbox.parent import Sandbox
from stillframe.sandbox.session import Limits

_PR_SET_PTRACER, _PR_SET_PTRACER_ANY = 0x59616D61, -1


def main() -> None:
    folder = Path(sys.argv[1])
    video = next(folder.glob("*.mp4"))
    with traps(folder) as (aims, knocks):
        found: dict[str, object] = {"user": os.getuid(), "layers": asdict(available_layers())}
        found["control"] = {name: in_a_fork(name, aims) for name in ATTEMPTS}
        found["control knocks"] = knocks()
        with real_time():
            started = Sandbox(entry="sandbox_attacks:attempt")
        with started as box:
            found["locked"] = {name: in_a_child(box, name, aims, video) for name in ATTEMPTS}
            found["facts"] = {name: in_a_child(box, name, aims, video) for name in FACTS}
            found["outside"] = seen_from_outside(box, video)
        found["knocks"] = knocks()
        with Sandbox(entry="sandbox_attacks_without_seccomp:attempt") as box:
            found["without seccomp"] = {name: in_a_child(box, name, aims, video) for name in ATTEMPTS}
            found["memory without seccomp"] = in_a_child(box, "how_much_memory", aims, video)
        found["knocks without seccomp"] = knocks()
    found["endless"] = endless(video)
    print(json.dumps(found))


@contextlib.contextmanager
def real_time() -> Iterator[None]:
    """As a real-time process, where the user may be one: what is started here begins as one, too."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


@contextlib.contextmanager
def traps(folder: Path) -> Iterator[tuple[Aims, object]]:
    """What an attacker may aim at; and a function that says who has been knocked at since it was last asked."""
    readable = folder / "readable.txt"
    readable.write_text("anyone may read this")
    os.environ["A_SECRET"] = "in the server's environment"
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as by_path,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as abstract,
    ):
        name = f"stillframe-proof-{os.getpid()}"
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        by_path.bind(str(folder / "socket"))
        (folder / "socket").chmod(0o777)
        abstract.bind("\0" + name)
        listeners = {"tcp": tcp, "unix path": by_path, "unix abstract": abstract}
        for listener in listeners.values():
            listener.listen(50)
            listener.setblocking(False)
        udp.setblocking(False)

        def knocks() -> list[str]:
            heard = []
            for kind, listener in listeners.items():
                with contextlib.suppress(BlockingIOError):
                    listener.accept()[0].close()
                    heard.append(kind)
            with contextlib.suppress(BlockingIOError):
                udp.recv(10)
                heard.append("udp")
            return sorted(heard)

        with victim() as pid:
            yield (
                {
                    "tcp": tcp.getsockname()[1],
                    "udp": udp.getsockname()[1],
                    "unix": str(folder / "socket"),
                    "abstract": name,
                    "readable": str(readable),
                    "folder": str(folder),
                    "victim": pid,
                },
                knocks,
            )


@contextlib.contextmanager
def victim() -> Iterator[int]:
    """A process of the same user, which everyone may trace."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_long(_PR_SET_PTRACER_ANY), 0, 0, 0)
        os.write(tell, b"x")
        while True:
            signal.pause()
    os.read(ready, 1)
    os.close(ready)
    os.close(tell)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def in_a_fork(name: str, aims: Aims) -> dict[str, object]:
    """The attempt by a process that is not locked in."""
    ours, theirs = socket.socketpair()
    with ours:
        pid = os.fork()
        if pid == 0:
            theirs.sendall(json.dumps(outcome(name, aims)).encode())
            os._exit(0)
        theirs.close()
        told = ours.recv(1 << 16)
        os.waitpid(pid, 0)
    # a process that has become another program tells nothing any more
    return json.loads(told) if told else {"came": "another program"}


def in_a_child(box: Sandbox, name: str, aims: Aims, video: Path) -> dict[str, object]:
    """The attempt by a locked-in child."""
    with video.open("rb") as file:
        child = box.fork(file.fileno())
    try:
        child.channel.settimeout(20)
        child.channel.sendall(json.dumps({"name": name, "aims": aims}).encode())
        told = child.channel.recv(1 << 16)
    finally:
        child.kill()
    return json.loads(told) if told else {"came": "another program"}


def seen_from_outside(box: Sandbox, video: Path) -> dict[str, object]:
    """What the kernel says of a child that is locked in."""
    with video.open("rb") as file:
        child = box.fork(file.fileno())
    try:
        child.channel.settimeout(20)
        child.channel.sendall(json.dumps({"name": "threads", "aims": {}}).encode())
        child.channel.recv(1 << 16)
        process = Path(f"/proc/{child.pid}")
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
        limits = [line.split("  ") for line in (process / "limits").read_text().splitlines()]
        seen: dict[str, object] = {
            key: status[key] for key in ("Uid", "Groups", "CapEff", "CapPrm", "NoNewPrivs", "Seccomp")
        }
        seen["limits"] = {parts[0]: [part for part in parts[1:] if part][:2] for parts in limits}
        seen["threads of the fork server"] = len(list(Path(f"/proc/{box.pid}/task").iterdir()))
        seen["niceness"] = [os.getpriority(os.PRIO_PROCESS, pid or 0) for pid in (box.pid, child.pid)]
        seen["memory killer"] = int((process / "oom_score_adj").read_text())
        # what of a process belongs to root when it cannot be dumped, whoever runs it
        seen["owner of its environment"] = (process / "environ").stat().st_uid
        seen["scheduling"] = os.sched_getscheduler(child.pid or 0)
        seen["own group"] = os.getpgid(child.pid or 0) == child.pid
        seen["session of the fork server"] = os.getsid(child.pid or 0) == box.pid
        with contextlib.suppress(PermissionError):
            files = {int(entry.name): str(entry.readlink()) for entry in (process / "fd").iterdir()}
            seen["files"] = sorted(
                "socket" if name.startswith("socket:") else name for name in files.values()
            )
            flags = [
                (process / "fdinfo" / str(number)).read_text()
                for number, name in files.items()
                if name == str(video)
            ]
            seen["video flags"] = [
                int(text.split("flags:\t")[1].split()[0], 8) & os.O_ACCMODE for text in flags
            ]
            seen["networks"] = [str((where / "ns/net").readlink()) for where in (process, Path("/proc/self"))]
            seen["environment"] = (process / "environ").read_text()
    finally:
        child.kill()
    return seen


def endless(video: Path) -> dict[str, object]:
    """A child that never comes to an end, under the watchdog."""
    with Sandbox(Limits(no_progress_s=0.5), entry="sandbox_attacks:spin") as box, FileSource(video) as source:
        started = time.monotonic()
        try:
            box.survey(source, SnapshotConfig())
        except ChildKilled as killed:
            children = Path(f"/proc/{box.pid}/task/{box.pid}/children").read_text().split()
            return {"reason": killed.reason, "seconds": time.monotonic() - started, "left": children}
    return {}


if __name__ == "__main__":
    main()
