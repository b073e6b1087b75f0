"""The command `stillframe` with short slices, which can kill or freeze itself at a named point: POINT MARK serve ...

The product has no hook for it: a function of it is replaced here, before it starts. That happens once, the first time
it gets there with the file MARK missing, which it makes. `lives` starts this, and has it fork.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any, NoReturn, TextIO

from stillframe.cli.main import main
from stillframe.events.outbox import Outbox
from stillframe.jobs import lifecycle, nodes, queue, slices
from stillframe.jobs.outputs import JobSink
from stillframe.jobs.probe_step import ProbeStep
from stillframe.jobs.slices import Slices
from stillframe.media import plan
from stillframe.sandbox import parent
from stillframe.server import assembly, serve  # noqa: F401 - what a start loads
from stillframe.storage import local_writer
from stillframe.storage.local_keys import is_temporary

#: estimated seconds: seven or eight shots of 192x108 are a slice
SHORT_STRETCH_S = 0.005
#: a variable: seconds after which others take a worker for dead; without it, as the product has it
DEAD_AFTER = "DRILL_DEAD_AFTER_S"
#: what is written to see whether a bucket works is no picture: it has this name, and fewer bytes
_CHECK, _CHECK_BYTES = b".stillframe-check-", 64


def _after_a_survey_is_claimed(die: Callable[[], None]) -> None:
    _before(parent.Sandbox, "survey_and_render", die)


def _after_a_slice_is_claimed(die: Callable[[], None]) -> None:
    _before(parent.Sandbox, "render", die)


def _in_a_write(die: Callable[[], None]) -> None:
    write_all = local_writer._write_all

    @wraps(write_all)
    def dying(descriptor: int, data: bytes) -> None:
        if len(data) > _CHECK_BYTES:
            write_all(descriptor, data[: len(data) // 2])
            die()
            os.lseek(descriptor, 0, os.SEEK_SET)
        write_all(descriptor, data)

    local_writer._write_all = dying


def _before_a_rename(die: Callable[[], None]) -> None:
    replace = os.replace

    @wraps(replace)
    def dying(source: Any, target: Any, **options: Any) -> None:
        if isinstance(source, bytes) and is_temporary(source) and not target.startswith(_CHECK):
            die()
        replace(source, target, **options)

    os.replace = dying


def _before_the_commit_of_a_slice(die: Callable[[], None]) -> None:
    _before(Slices, "give_back", die)


def _before_the_commit_of_the_only_slice(die: Callable[[], None]) -> None:
    _before(slices, "complete", die)


def _before_success(die: Callable[[], None]) -> None:
    _before(lifecycle, "succeed", die, when=lambda _, __, job, *___: job.config["Type"] == "WebVtt")


def _before_the_end_of_a_probe_job(die: Callable[[], None]) -> None:
    _before(ProbeStep, "_end", die)


def _after_an_event_is_sent(die: Callable[[], None]) -> None:
    _before(Outbox, "delivered", die)


def _after_a_receipt(die: Callable[[], None]) -> None:
    _before(lifecycle, "create", die)


def _before_an_answer(die: Callable[[], None]) -> None:
    create = lifecycle.create

    @wraps(create)
    def dying(*arguments: Any, **options: Any) -> Any:
        created = create(*arguments, **options)
        die()
        return created

    lifecycle.create = dying


def _in_a_slice(name: str, freeze: Callable[[], None]) -> None:
    """After its first picture, when that lies under a folder of this name."""
    put = JobSink.put

    @wraps(put)
    def freezing(*arguments: Any) -> Any:
        output = put(*arguments)
        if f"/{name}/" in output.name:
            freeze()
        return output

    JobSink.put = freezing  # type: ignore[method-assign]


def _before_a_survey_is_kept(name: str, freeze: Callable[[], None]) -> None:
    """When the outputs are to lie under a folder of this name."""
    look = parent.Sandbox.survey_and_render

    def freezing(self: Any, source: Any, config: Any, sink: Any, work: Any) -> Any:
        def keep(survey: Any) -> None:
            if f"/{name}/" in sink.names.of("still", 1):
                freeze()
            work.on_survey(survey)

        return look(self, source, config, sink, replace(work, on_survey=keep))

    parent.Sandbox.survey_and_render = freezing  # type: ignore[method-assign]


#: the names of the points, and how a server that takes jobs, and tells of them, is brought to die there
SERVER_POINTS: dict[str, Callable[[Callable[[], None]], None]] = {
    "after a job is kept and before the answer": _before_an_answer,
    "after an event is sent and before that is known": _after_an_event_is_sent,
    "after the receipt of a job and before it is kept": _after_a_receipt,
}
#: likewise, one that works on them
WORK_POINTS: dict[str, Callable[[Callable[[], None]], None]] = {
    "after the claim of a survey": _after_a_survey_is_claimed,
    "after the claim of a slice": _after_a_slice_is_claimed,
    "in the middle of a write": _in_a_write,
    "between temporary file and rename": _before_a_rename,
    "after the write of a slice and before its commit": _before_the_commit_of_a_slice,
    "after the write of a job's only slice and before its commit": _before_the_commit_of_the_only_slice,
    "after the track and before Success": _before_success,
    "after a source is described and before its job ends": _before_the_end_of_a_probe_job,
}
POINTS = WORK_POINTS | SERVER_POINTS
#: where one that works freezes, for jobs whose outputs are to lie in a folder of this name
FREEZING_POINTS: dict[str, Callable[[str, Callable[[], None]], None]] = {
    "frozen-in-a-lone-slice": _in_a_slice,
    "frozen-in-a-slice-of-many": _in_a_slice,
    "frozen-in-a-survey": _before_a_survey_is_kept,
}


def _before(
    owner: Any, name: str, die: Callable[[], None], *, when: Callable[..., bool] = lambda *_: True
) -> None:
    function = getattr(owner, name)

    @wraps(function)
    def dying(*arguments: Any, **options: Any) -> Any:
        if when(*arguments):
            die()
        return function(*arguments, **options)

    setattr(owner, name, dying)


def _once(mark: Path, number: signal.Signals) -> None:
    with contextlib.suppress(FileExistsError):
        mark.touch(exist_ok=False)
        os.kill(os.getpid(), number)


def _called(path: str) -> list[str]:
    """Listen at a socket, and fork for each call: returns in a child, with the arguments of its call."""
    # whoever waits for a child is its keeper, and for keepers nobody waits
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("listening", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
        else:
            sys.exit()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with connection, connection.makefile("rw") as stream:
        call = json.loads(stream.readline())
        child = os.fork()
        if child != 0:
            print(child, file=stream, flush=True)
            _end_with(child, stream)
    for number, (name, flags) in enumerate(zip(call["files"], _FLAGS, strict=True)):
        file = os.open(name, flags, 0o666)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(call["environment"])
    # where native code crashes, the log says where
    faulthandler.enable()
    arguments: list[str] = call["arguments"]
    return arguments


_FLAGS = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def _end_with(child: int, stream: TextIO) -> NoReturn:
    """Tell how a child has ended. The signals of a terminal are the child's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=stream, flush=True)
    os._exit(0)


if __name__ == "__main__":
    point, mark, *arguments = _called(sys.argv[1])
    if point in FREEZING_POINTS:
        FREEZING_POINTS[point](point, partial(_once, Path(mark), signal.SIGSTOP))
    elif point:
        POINTS[point](partial(_once, Path(mark), signal.SIGKILL))
    if DEAD_AFTER in os.environ:
        queue.DEAD_AFTER_S = nodes.DEAD_AFTER_S = int(os.environ[DEAD_AFTER])
    # children find the entry by our path; what they say of slices is worked out again in this process
    sys.path.append(str(Path(__file__).parents[1]))
    plan.STRETCH_S = SHORT_STRETCH_S
    assembly.Sandbox = partial(assembly.Sandbox, entry="drill.short_slices:run")  # type: ignore[misc, assignment]
    sys.argv = ["stillframe", *arguments]
    sys.exit(main())
