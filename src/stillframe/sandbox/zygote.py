"""The fork server: a small process with everything loaded, which forks a locked-in child for each slice.

It is started by exec with an empty environment, has one thread, and never reads a byte of video itself. It is
told what to do over one socket (`forkserver.py` holds the other end), in JSON messages: fork (with the child's
socket, and a local video's descriptor), kill. It tells who was forked and who has ended. When that socket is
closed, or the server has died, it kills its children and ends; when it is killed itself, the kernel kills them.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
from collections.abc import Callable
from typing import Any, NoReturn

from stillframe.errors import SandboxUnavailable
from stillframe.media.free_memory import give_back_large_blocks_at_once
from stillframe.sandbox.layers import lock_down

#: what a locked-in child runs: its socket, and the descriptor of a local video
Entry = Callable[[socket.socket, int | None], None]

#: how a child ends that could not be locked in
UNAVAILABLE_EXIT = 77
_MESSAGE_BYTES = 4096
#: the closing of its socket tells it at once; this is for a descriptor that somebody else has inherited
_LOOK_AFTER_SERVER_S = 5.0
#: what decoding uses, and imports only when it comes to it
_NEEDED_LATER = (
    "traceback",
    "linecache",
    "threading",
    "encodings.ascii",
    "encodings.cp1252",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_16",
    "stillframe.media.darkroom",
    "stillframe.media.render",
    "stillframe.media.survey",
    "stillframe.media.tone_map",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
)


def main(argument: str) -> None:
    """Serve on the socket whose descriptor is given; what a child runs comes after it, as `module:function`."""
    descriptor, _, entry = argument.partition(" ")
    server = os.getppid()
    if os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):
        # an endless loop of a real-time process leaves nothing to the one that is to stop it
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    give_back_large_blocks_at_once()
    with socket.socket(fileno=int(descriptor)) as control:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # the server decides when it is over, also when a whole group is told to end
            signal.signal(number, signal.SIG_IGN)
        _Zygote(control, load(entry), server).serve()


def load(entry: str) -> Entry:
    """Import all that a child may need, since it can open no file any more; what it is to run."""
    # a process that forks must have one thread; OpenBLAS would start some when NumPy is imported
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    import av

    for module in pkgutil.walk_packages(av.__path__, "av."):
        importlib.import_module(module.name)
    for name in _NEEDED_LATER:
        importlib.import_module(name)
    module_name, _, function = entry.partition(":")
    run: Entry = getattr(importlib.import_module(module_name), function)
    os.environ.clear()
    # what is there now is shared by all children for as long as nobody touches it
    gc.collect()
    gc.freeze()
    return run


class _Zygote:
    def __init__(self, control: socket.socket, run: Entry, server: int) -> None:
        self._control = control
        self._run = run
        self._server = server
        self._children: dict[int, int] = {}
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        control = self._control.fileno()
        try:
            while os.getppid() == self._server:
                ready, _, _ = select.select([control, self._wake], [], [], _LOOK_AFTER_SERVER_S)
                if self._wake in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                    self._reap()
                if control in ready and not self._obey():
                    break
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            for pid in self._children.values():
                _kill(pid)

    def _obey(self) -> bool:
        """Do what the server says; False when it has gone."""
        message, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE_BYTES, 2)
        if not message:
            return False
        order = json.loads(message)
        if order["do"] == "kill":
            pid = self._children.get(order["id"])
            if pid is not None:
                _kill(pid)
        else:
            self._fork(order, descriptors)
        return True

    def _fork(self, order: dict[str, Any], descriptors: list[int]) -> None:
        own = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            _tell(self._control, ended=order["id"], status=None)
        else:
            if pid == 0:
                self._be_a_child(own, order["cpu_s"], descriptors)
            self._children[order["id"]] = pid
            _tell(self._control, forked=order["id"], pid=pid)
        for descriptor in descriptors:
            os.close(descriptor)

    def _be_a_child(self, zygote: int, cpu_s: int, descriptors: list[int]) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            channel = socket.socket(fileno=descriptors[0])
            lock_down(descriptors, zygote, cpu_s)
            self._run(channel, descriptors[1] if len(descriptors) > 1 else None)
            code = 0
        except SandboxUnavailable:
            code = UNAVAILABLE_EXIT
        finally:
            os._exit(code)

    def _reap(self) -> None:
        for number, pid in list(self._children.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found == pid:
                del self._children[number]
                _tell(self._control, ended=number, status=os.waitstatus_to_exitcode(status))


def _kill(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _tell(control: socket.socket, **facts: int | None) -> None:
    control.send(json.dumps(facts).encode())
