"""No child outlives its server or its fork server, however these die; and a fork server that died is started anew."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stillframe import (
    ChildKilled,
    ConfigError,
    FileSource,
    MemorySink,
    MemorySource,
    SandboxUnavailable,
    SinkError,
    SnapshotConfig,
    SourceError,
)
from stillframe.media.sink import Item, Output
from stillframe.sandbox import session
from stillframe.sandbox.decoder import Work
from stillframe.sandbox.layers import Layers
from stillframe.sandbox.parent import Sandbox
from stillframe.sandbox.session import Limits
from stillframe.testing import Clip, videos

pytestmark = pytest.mark.usefixtures("sandbox_holds")

HERE = Path(__file__).parent
DEADLINE_S = 60
CONFIG = SnapshotConfig(count=4, frame_type="normal", width=64)
TEMPLATE = "x-{Count}.jpg"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return videos.h264_pyramid(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


@pytest.mark.parametrize(
    "killed", [["server"], ["zygote"], ["zygote", "server"], ["server", "zygote"]], ids=str
)
def test_no_child_is_left_after_kill_9(killed: list[str]) -> None:
    with server() as processes:
        spinning = [processes["zygote"], *processes["children"]]
        assert all(is_alive(pid) for pid in spinning)
        for name in killed:
            os.kill(processes[name], signal.SIGKILL)
        demand(lambda: not any(is_alive(pid) for pid in spinning))


def test_no_child_is_left_though_somebody_holds_a_copy_of_the_socket() -> None:
    """As a process does that was forked by other code of the server: no end of the socket is then to be seen."""
    with server("copied") as processes:
        spinning = [processes["zygote"], *processes["children"]]
        assert all(is_alive(pid) for pid in spinning)
        os.kill(processes["server"], signal.SIGKILL)
        demand(lambda: not any(is_alive(pid) for pid in spinning))
        assert is_alive(processes["holder"]), "else this would prove nothing"


def test_only_the_server_ends_them() -> None:
    """A whole group is often told to end; running slices are the server's to finish, or to give up."""
    with server() as processes:
        for pid in (processes["zygote"], *processes["children"]):
            status = Path(f"/proc/{pid}/status").read_text()
            ignored = int(status.partition("SigIgn:\t")[2].split()[0], 16)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                assert ignored & 1 << (number - 1)


def test_a_fork_server_that_died_is_started_anew(clip: Clip) -> None:
    with Sandbox() as box, FileSource(clip.path) as source:
        before = box.pid
        survey = box.survey(source, CONFIG)
        assert before is not None
        os.kill(before, signal.SIGKILL)
        # at once, and again when it is surely known
        for _ in range(2):
            assert retried(lambda: box.survey(source, CONFIG)) == survey
        assert box.pid != before


def test_a_child_whose_fork_server_dies_has_crashed(clip: Clip) -> None:
    # it works on while its survey is looked at: what it makes has no room in the socket, and so it cannot be done
    large = SnapshotConfig(type="Normal", frame_type="normal", count=20, width=1920, height=1080)
    with Sandbox() as box, FileSource(clip.path) as source:

        def kill_the_fork_server(_: object) -> None:
            pid = box.pid
            assert pid is not None
            [child] = map(int, children(pid))
            os.kill(pid, signal.SIGKILL)
            demand(lambda: not is_alive(child))

        sink = MemorySink("{Count}.png", large)
        with pytest.raises(ChildKilled) as killed:
            box.survey_and_render(source, large, sink, Work(on_survey=kill_the_fork_server))
    assert killed.value.reason == "crash"


def test_a_wish_to_stop_is_heard_soon(clip: Clip) -> None:
    cancelled = threading.Event()
    with Sandbox(entry="sandbox_attacks:spin") as box, FileSource(clip.path) as source:
        box.fork().kill()
        pid = box.pid
        assert pid is not None
        teller = threading.Thread(target=lambda: (when_it_has_a_child(pid), cancelled.set()))
        teller.start()
        with pytest.raises(ChildKilled) as killed:
            box.survey(source, CONFIG, Work(cancelled=cancelled))
        teller.join()
        assert killed.value.reason == "cancelled"
        assert children(pid) == []


def test_processor_time_and_all_time_are_bounded(clip: Clip) -> None:
    with (
        Sandbox(Limits(no_progress_s=30, total_s=0.5), entry="sandbox_attacks:spin") as box,
        FileSource(clip.path) as source,
    ):
        with pytest.raises(ChildKilled) as killed:
            box.survey(source, CONFIG)
        assert killed.value.reason == "time"
        child = box.fork(cpu_s=1)
        assert child.ended.wait(DEADLINE_S)
        assert child.status == -signal.SIGXCPU
        child.kill()


def test_one_that_cannot_start_says_so(clip: Clip, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        Sandbox(entry="no_such_module:run") as box,
        FileSource(clip.path) as source,
        pytest.raises(SandboxUnavailable, match="does not start"),
    ):
        box.survey(source, CONFIG)
    assert "no_such_module" in capfd.readouterr().err


def test_a_child_that_cannot_be_locked_in_decodes_nothing(
    clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "available_layers", Layers)
    with (
        Sandbox(entry="sandbox_unlockable:attempt") as box,
        FileSource(clip.path) as source,
        pytest.raises(SandboxUnavailable, match="seccomp"),
    ):
        box.survey(source, CONFIG)


class Together(MemorySource):
    """Answers two reads only once both have been asked for: those after the index was found."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._index_at = data.rindex(b"moov") - 4
        self._both = threading.Barrier(2)
        self._reads = iter(range(1_000_000))

    def read_at(self, offset: int, length: int) -> bytes:
        if offset >= self._index_at and next(self._reads) in (1, 2):
            self._both.wait(DEADLINE_S)
        return super().read_at(offset, length)


def test_several_threads_of_a_child_ask_at_once(sandbox: Sandbox, clip: Clip) -> None:
    """The container is opened while its boxes are read: neither waits for the other's bytes."""
    data = clip.path.read_bytes()
    assert sandbox.survey(Together(data), CONFIG).planned == 4


def test_a_closed_sandbox_says_so(clip: Clip) -> None:
    box = Sandbox()
    box.close()
    with FileSource(clip.path) as source, pytest.raises(SandboxUnavailable, match="closed"):
        box.survey(source, CONFIG)


class FullSink(MemorySink):
    def put(self, item: Item, data: bytes) -> Output:
        raise SinkError("x", "no space left on the disk")


class BrokenSource(MemorySource):
    def read_at(self, offset: int, length: int) -> bytes:
        raise SourceError("broken", "the connection was reset")


def refuse(*_: object) -> None:
    raise ConfigError("Output", "x", "another")


@pytest.mark.parametrize(
    ("error", "run"),
    [
        (
            SinkError,
            lambda box, clip: box.survey_and_render(FileSource(clip), CONFIG, FullSink(TEMPLATE, CONFIG)),
        ),
        (SourceError, lambda box, clip: box.survey(BrokenSource(clip.read_bytes()), CONFIG)),
        (
            ConfigError,
            lambda box, clip: box.survey_and_render(
                MemorySource(clip.read_bytes()), CONFIG, MemorySink(TEMPLATE, CONFIG), Work(on_survey=refuse)
            ),
        ),
        (
            ConfigError,
            lambda box, clip: box.survey_and_render(
                MemorySource(clip.read_bytes()), CONFIG, MemorySink(TEMPLATE, CONFIG), Work(on_shot=refuse)
            ),
        ),
    ],
    ids=["the sink is full", "the source breaks", "the survey is refused", "a shot is refused"],
)
def test_what_fails_on_our_side_ends_the_child(
    sandbox: Sandbox, clip: Clip, error: type[Exception], run: Callable[[Sandbox, Path], object]
) -> None:
    with pytest.raises(error):
        run(sandbox, clip.path)
    pid = sandbox.pid
    assert pid is not None
    # those of other tests that ended well are just being killed
    demand(lambda: children(pid) == [])


def test_a_source_that_has_changed_is_refused(sandbox: Sandbox, clip: Clip) -> None:
    with FileSource(clip.path) as source:
        survey = sandbox.survey(source, CONFIG)
    other = MemorySource(clip.path.read_bytes())
    with pytest.raises(SourceError, match="has changed"):
        sandbox.render(survey, survey.stretches[0], other, MemorySink(TEMPLATE, CONFIG))


def test_many_at_once(sandbox: Sandbox, clip: Clip) -> None:
    made: list[dict[str, bytes]] = []

    def one() -> None:
        sink = MemorySink(TEMPLATE, CONFIG)
        sandbox.survey_and_render(MemorySource(clip.path.read_bytes()), CONFIG, sink)
        made.append(sink.files)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert all(files == made[0] for files in made)
    assert len(made[0]) == 4


@contextmanager
def server(*arguments: str) -> Iterator[dict[str, Any]]:
    """A server with three spinning children; whatever is left of it is killed at the end."""
    paths = [str(HERE.parents[1] / "src"), str(HERE), *sys.path]
    command = [sys.executable, str(HERE / "sandbox_server.py"), *arguments]
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)}, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        processes = json.loads(process.stdout.readline())
        try:
            yield processes
        finally:
            process.kill()
            process.wait()
            if processes["holder"] is not None:
                os.kill(processes["holder"], signal.SIGKILL)
            for pid in (processes["zygote"], *processes["children"]):
                demand(lambda pid=pid: not is_alive(pid))


def is_alive(pid: int) -> bool:
    """Whether a process runs: one that nobody has reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(") ")[2][0] not in "ZX"


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def when_it_has_a_child(pid: int) -> None:
    demand(lambda: bool(children(pid)))


def retried(survey: Callable[[], object]) -> object:
    """A survey whose child may die with the fork server."""
    try:
        return survey()
    except ChildKilled:
        return survey()


def demand(holds: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    until = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < until
        threading.Event().wait(0.01)
