"""The small process between the server and PostgreSQL. Standard library only.

It is PostgreSQL's parent, so that PostgreSQL ends when it ends; it watches the server, so that both end when the
server ends, however that happens. It runs PostgreSQL once: starting anew is the server's decision.

It reads one line of JSON (a Task) from standard input and writes lines of JSON to standard output (events:
`initdb`, `started`, `failed`, `ended`). After that, the word `stop` on standard input is a fast shutdown, and its
end is the death of the server. It holds the data folder's lock as long as it lives.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from stillframe.database.cluster import (
    ClusterFolder,
    ClusterRefused,
    closed_folder,
    find_programs,
    finish_initdb,
    give_to,
    initdb_command,
    remove_unfinished,
)
from stillframe.database.identity import Identity, IdentityRefused, choose_identity
from stillframe.database.leftover import end_leftover

_PR_SET_CHILD_SUBREAPER = 36
#: after this long a fast shutdown becomes an immediate one, and that a kill
_FAST_SECONDS, _IMMEDIATE_SECONDS = 30.0, 10.0
_LOG_BYTES = 1 << 20
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Task:
    """What the server asks for. `lock_descriptor` is the data folder's lock, which is inherited.

    `data_folder` may be opened for PostgreSQL's user only when it is new: who has made it has chosen its mode.
    """

    server_pid: int
    lock_descriptor: int
    data_folder: str
    data_folder_is_new: bool
    folder: str
    socket_folder: str
    options: Mapping[str, str]

    def to_json(self) -> bytes:
        """One line."""
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> NoReturn:
    """Run the supervisor and end the process: 0 after an ordered stop, 1 otherwise."""
    task = Task(**json.loads(_read_line(0)))
    supervisor = Supervisor(task)
    try:
        ordered = supervisor.run()
    except (Failed, ClusterRefused, IdentityRefused) as error:
        supervisor.say("failed", message=str(error))
        ordered = False
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        supervisor.say("failed", message=f"{where}{error.strerror or error}")
        ordered = False
    except Exception as error:
        # nobody reads our standard error
        supervisor.say("failed", message=f"a mistake in the supervisor: {error!r}")
        ordered = False
    os._exit(0 if ordered else 1)


class Failed(Exception):
    """A program did not do its work; the message is the last that it said."""


class Supervisor:
    """One run of PostgreSQL, from what was left behind before to the last process after."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.folder = ClusterFolder(Path(task.folder))
        self.stop_asked = False
        self.server_died = False
        self._tail = b""
        self._log_descriptor: int | None = None
        self._child_signal, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # whoever stops a whole group of processes means the server, which stops PostgreSQL last
        for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(sign, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        os.set_inheritable(task.lock_descriptor, False)
        self._server = _process_descriptor(task.server_pid)
        _become_subreaper()

    def run(self) -> bool:
        """Run PostgreSQL until it ends; whether that was asked for."""
        if end_leftover(self.folder.pgdata, Path(self.task.socket_folder)):
            self.say("leftover")
        identity = self._prepare(choose_identity())
        programs = find_programs(self.folder.pgdata)
        self._check_way(identity, programs)
        if not (self.folder.pgdata / "PG_VERSION").exists():
            self._make_cluster(programs, identity)
        if self.stop_asked or self.server_died:
            return self.stop_asked
        self._run_postgres(programs, identity)
        return self.stop_asked

    def say(self, event: str, **data: Any) -> None:
        """Tell the server. When nobody listens any more, that is noticed elsewhere."""
        with contextlib.suppress(OSError):
            os.write(1, json.dumps({"event": event, **data}).encode() + b"\n")

    def _prepare(self, identity: Identity) -> Identity:
        """PostgreSQL's folders belong to the user whom it runs as; the data folder and its parents stay as they are."""
        remove_unfinished(self.folder)
        if os.geteuid() == 0:
            for path in (self.folder.root, Path(self.task.socket_folder)):
                give_to(path, identity.uid, identity.gid)
        return identity

    def _check_way(self, identity: Identity, programs: Path) -> None:
        if not identity.changes_user:
            return
        if self.task.data_folder_is_new:
            Path(self.task.data_folder).chmod(0o711)
        for path, advice in (
            (self.folder.root, "choose a folder that others may enter with --data-dir"),
            (
                Path(self.task.socket_folder),
                "set XDG_RUNTIME_DIR or TMPDIR to a folder that others may enter",
            ),
            (programs.resolve(), "install Stillframe where others may read it"),
        ):
            closed = closed_folder(path, identity.uid, identity.gid)
            if closed is not None:
                raise ClusterRefused(
                    f"{path}: the user {identity}, whom PostgreSQL runs as because this machine refuses user "
                    f"namespaces to root, may not enter {closed}: {advice}, or allow it with chmod o+x, "
                    "or start as an ordinary user"
                )

    def _make_cluster(self, programs: Path, identity: Identity) -> None:
        self.say("initdb")
        status = self._run_child(initdb_command(programs, self.folder), identity)
        if self.stop_asked or self.server_died:
            return
        if status != 0:
            remove_unfinished(self.folder)
            raise Failed(self._last_words("initdb", status))
        finish_initdb(self.folder)

    def _run_postgres(self, programs: Path, identity: Identity) -> None:
        command = [str(programs / "postgres"), "-D", str(self.folder.pgdata)]
        options = {**self.task.options, "unix_socket_directories": self.task.socket_folder}
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        status = self._run_child(command, identity, announce=str(identity))
        # server processes outlive a postmaster that was killed: until they are gone nothing can be started
        end_leftover(self.folder.pgdata, Path(self.task.socket_folder))
        self.say("ended", status=status, message=self._last_words("postgres", status))

    def _run_child(self, command: Sequence[str], identity: Identity, announce: str | None = None) -> int:
        """Run a program to its end; its exit status, negative after a signal. Passes a shutdown on to it."""
        output, its_output = os.pipe()
        pid = _spawn(command, identity, self.folder.root, its_output)
        os.close(its_output)
        if announce is not None:
            self.say("started", pid=pid, runs_as=announce)
        poll = select.poll()
        watched = [0, output, self._child_signal, *([self._server] if self._server is not None else [])]
        for descriptor in watched:
            poll.register(descriptor, select.POLLIN)
        deadline: float | None = None
        signs: Iterator[tuple[signal.Signals, float]] = iter(())
        status: int | None = None
        while status is None:
            if deadline is None and (self.stop_asked or self.server_died):
                signs = iter(_shutdown_signals(self.stop_asked))
                deadline = 0.0
            if deadline is not None and time.monotonic() >= deadline:
                sign, seconds = next(signs)
                os.kill(pid, sign)
                deadline = time.monotonic() + seconds
            wait_ms = None if deadline is None else min(max(deadline - time.monotonic(), 0) * 1000, 60_000)
            for descriptor, _ in poll.poll(wait_ms):
                if descriptor == output:
                    if not self._take_output(output):
                        poll.unregister(output)
                elif descriptor == self._child_signal:
                    os.read(self._child_signal, 4096)
                elif descriptor == self._server:
                    self.server_died = True
                    poll.unregister(descriptor)
                elif not self._take_word():
                    poll.unregister(descriptor)
            status = _reap(pid)
        os.set_blocking(output, False)
        while self._take_output(output):
            pass
        os.close(output)
        return status

    def _take_word(self) -> bool:
        """Read standard input; whether it is still open. Its end without the word `stop` is the server's death."""
        word = os.read(0, 64)
        if word.startswith(b"stop"):
            self.stop_asked = True
        elif not word and not self.stop_asked:
            self.server_died = True
        return bool(word)

    def _take_output(self, output: int) -> bool:
        """Copy what the program says into the log; whether there may be more. A full disk costs only the log."""
        try:
            text = os.read(output, 1 << 16)
        except BlockingIOError:
            return False
        self._tail = (self._tail + text)[-_TAIL_BYTES:]
        with contextlib.suppress(OSError):
            self._write_log(text)
        return bool(text)

    def _write_log(self, text: bytes) -> None:
        if self._log_descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            self._log_descriptor = os.open(self.folder.log, flags, 0o600)
        os.write(self._log_descriptor, text)
        if os.fstat(self._log_descriptor).st_size > _LOG_BYTES:
            os.close(self._log_descriptor)
            self._log_descriptor = None
            self.folder.log.rename(self.folder.log.with_suffix(".log.1"))

    def _last_words(self, program: str, status: int) -> str:
        """Why it has ended: the signal, else the line that says why, without PostgreSQL's time and process."""
        if status < 0:
            return f"{program} was killed by {signal.Signals(-status).name}"
        lines = [line.strip() for line in self._tail.decode(errors="replace").splitlines() if line.strip()]
        # said to a client that came too early
        lines = [line for line in lines if not line.endswith("the database system is starting up")]
        for mark in ("No space left on device", "PANIC:", "FATAL:", "error:"):
            for line in lines:
                if mark in line:
                    return f"{program}: {line[line.find('FATAL:') :] if 'FATAL:' in line else line}"
        return f"{program}: {lines[-1] if lines else 'said nothing'}"


def _shutdown_signals(ordered: bool) -> tuple[tuple[signal.Signals, float], ...]:
    """Signals with the seconds until the next: a fast shutdown when asked, an immediate one when the server died."""
    harder = ((signal.SIGQUIT, _IMMEDIATE_SECONDS), (signal.SIGKILL, 1e9))
    return ((signal.SIGINT, _FAST_SECONDS), *harder) if ordered else harder


def _spawn(command: Sequence[str], identity: Identity, folder: Path, output: int) -> int:
    """Start a program as this identity with an empty environment; raises Failed when that is impossible."""
    failure, its_failure = os.pipe()
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD):
                signal.signal(sign, signal.SIG_DFL)
            os.umask(0o077)
            os.chdir(folder)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (output, 1), (output, 2)):
                os.dup2(source, target)
            identity.become()
            if os.getppid() == supervisor:
                os.execve(command[0], list(command), {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"})
        except BaseException as error:
            os.write(its_failure, f"{command[0]}: {error}".encode())
        os._exit(127)
    os.close(its_failure)
    with os.fdopen(failure, "rb") as stream:
        message = stream.read()
    if message:
        os.waitpid(pid, 0)
        raise Failed(message.decode(errors="replace"))
    return pid


def _reap(main_pid: int) -> int | None:
    """Take in ended children, adopted ones too; the status of the main one when it was among them."""
    status = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, code = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == main_pid:
                status = os.waitstatus_to_exitcode(code)
    return status


def _become_subreaper() -> None:
    """Server processes of a killed postmaster become ours, so that none is left to init."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _process_descriptor(server_pid: int) -> int | None:
    """Becomes readable when the server is gone: also when another process holds the pipe open by accident."""
    if sys.platform != "linux":
        return None
    try:
        descriptor = os.pidfd_open(server_pid)
    except OSError:
        return None
    if os.getppid() != server_pid:
        os._exit(1)
    return descriptor


def _read_line(descriptor: int) -> bytes:
    """Byte by byte: what comes after the line is for the loop."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(descriptor, 1)
        if not byte:
            os._exit(1)
        line += byte
    return line
