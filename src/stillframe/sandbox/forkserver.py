"""The server's hold on its fork server: it starts one, asks it for children, and has them killed by number.

A child's number is never used twice, so that a kill cannot hit another one; its process id is for people.
"""

from __future__ import annotations

import array
import contextlib
import itertools
import json
import socket
import struct
import subprocess
import sys
import threading

from stillframe.errors import SandboxUnavailable
from stillframe.sandbox.bootstrap import command

#: what a child of the product runs
CHILD = "stillframe.sandbox.child:run"
_MESSAGE_BYTES = 4096
_END_TIMEOUT_S = 5


class Child:
    """One child: the parent's end of its socket, its process id once it is known, and how it ended.

    `status` is its exit code, the negative number of the signal that killed it, or None when nobody knows.
    """

    def __init__(self, server: ForkServer, number: int, channel: socket.socket) -> None:
        self.channel = channel
        self.pid: int | None = None
        self.status: int | None = None
        self.forked = threading.Event()
        self.ended = threading.Event()
        self._server = server
        self._number = number

    def dismiss(self) -> None:
        """Have it killed, and do not wait for that. Harmless when it has ended by itself."""
        self._server.kill(self._number)
        self.channel.close()

    def kill(self) -> None:
        """Have it killed, and wait until it is gone."""
        self.dismiss()
        if not self.ended.wait(_END_TIMEOUT_S):
            # a fork server that does not do as it is told takes its children along
            self._server.stop()
            self.ended.wait()


class ForkServer:
    """A running fork server. Safe to use from any thread. `entry` is what its children run once locked in."""

    def __init__(self, entry: str = CHILD) -> None:
        if sys.platform != "linux":
            raise SandboxUnavailable((f"there is no sandbox for {sys.platform}",))
        self._has_gone = False
        self._children: dict[int, Child] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # one that takes no orders any more is as good as gone
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _END_TIMEOUT_S, 0))
        with theirs:
            self._process = subprocess.Popen(
                command("stillframe.sandbox.zygote:main", f"{theirs.fileno()} {entry}"),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={},
                cwd="/",
                # Ctrl-C on a terminal is for the server, which then decides
                start_new_session=True,
            )
        self._listener = threading.Thread(target=self._listen, name="stillframe-forkserver", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The fork server's process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it can still fork."""
        return not self._has_gone

    def fork(self, video: int | None, cpu_s: int) -> Child:
        """A fresh child with `cpu_s` seconds of processor time, which can read the open file `video`.

        Raises BrokenPipeError when the fork server has gone, or hears no more; it must be stopped then.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        child = Child(self, next(self._numbers), ours)
        descriptors = [theirs.fileno()] if video is None else [theirs.fileno(), video]
        order = {"do": "fork", "id": child._number, "cpu_s": cpu_s}
        try:
            with theirs, self._lock:
                if self._has_gone:
                    raise BrokenPipeError
                self._children[child._number] = child
                self._send(order, descriptors)
        except OSError as error:
            self._children.pop(child._number, None)
            ours.close()
            raise BrokenPipeError from error
        return child

    def kill(self, number: int) -> None:
        """Kill a child by its number."""
        with contextlib.suppress(OSError), self._lock:
            self._send({"do": "kill", "id": number})

    def stop(self) -> None:
        """End the fork server and its children."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._listener.join()
        self._control.close()

    def _send(self, order: dict[str, object], descriptors: list[int] | None = None) -> None:
        rights = array.array("i", descriptors or [])
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if rights else []
        self._control.sendmsg([json.dumps(order).encode()], ancillary)

    def _listen(self) -> None:
        """Hear who was forked and who has ended, until the fork server itself has."""
        with contextlib.suppress(OSError):
            while message := self._control.recv(_MESSAGE_BYTES):
                self._note(json.loads(message))
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # it kills its children when it ends; when it is killed, the kernel does
            self._process.kill()
            self._process.wait()
        with self._lock:
            self._has_gone = True
            left, self._children = list(self._children.values()), {}
        for child in left:
            child.forked.set()
            child.ended.set()

    def _note(self, facts: dict[str, int | None]) -> None:
        if "forked" in facts and (child := self._children.get(facts["forked"] or 0)) is not None:
            child.pid = facts["pid"]
            child.forked.set()
        elif "ended" in facts and (child := self._children.pop(facts["ended"] or 0, None)) is not None:
            child.status = facts["status"]
            child.forked.set()
            child.ended.set()
