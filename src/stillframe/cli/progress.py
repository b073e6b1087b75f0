"""What a person, a log or a program sees while videos are shot: bars, plain lines, JSON or nothing."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from stillframe.cli.messages import failure_json, print_error, print_line, share_text
from stillframe.errors import ConfigError, StillframeError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from stillframe.media.report import Report

_SECONDS_BETWEEN_LINES = 5.0


class Progress(Protocol):
    """Told what happens, from any thread."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def surveyed(self, name: str, shots: int) -> None:
        """A video was looked into: so many shots are to be taken."""

    def shot(self, name: str) -> None:
        """One shot more is done."""

    def done(self, name: str, report: Report) -> None:
        """A video is finished; not all of its shots need to be there."""

    def failed(self, name: str, error: StillframeError) -> None:
        """Nothing could be made of a video."""


def progress_for(*, quiet: bool, as_json: bool) -> Progress:
    """The right one for the options and for where the output goes."""
    if as_json:
        return JsonLines()
    if quiet:
        return Quiet()
    return Bars() if sys.stderr.isatty() and sys.stdout.isatty() else Lines()


class Quiet:
    """Errors only, one line each, on standard error."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def surveyed(self, name: str, shots: int) -> None:
        pass

    def shot(self, name: str) -> None:
        pass

    def done(self, name: str, report: Report) -> None:
        if not report.ok:
            self._error(f"{name}: {report.message}")

    def failed(self, name: str, error: StillframeError) -> None:
        # a parameter that does not fit this video does not know of it
        self._error(f"{name}: {error}" if isinstance(error, ConfigError) else str(error))

    def _error(self, text: str) -> None:
        with self._lock:
            print_error(text)

    def _print(self, text: str, file: TextIO) -> None:
        with self._lock:
            print_line(text, file)


class JsonLines(Quiet):
    """One JSON object for each video on standard output; errors as objects, too, and on standard error."""

    def done(self, name: str, report: Report) -> None:
        import json

        self._print(json.dumps(asdict(report), separators=(",", ":")), sys.stdout)
        super().done(name, report)

    def failed(self, name: str, error: StillframeError) -> None:
        self._print(failure_json("source", name, error), sys.stdout)
        super().failed(name, error)


class Lines(Quiet):
    """Plain lines, for pipes and logs: a line for each video, and one now and then during long work."""

    def __init__(self) -> None:
        super().__init__()
        self._total: dict[str, int] = {}
        self._shots: dict[str, int] = {}
        self._last_line = time.monotonic()

    def surveyed(self, name: str, shots: int) -> None:
        self._total[name], self._shots[name] = shots, 0

    def shot(self, name: str) -> None:
        with self._lock:
            self._shots[name] = self._shots.get(name, 0) + 1
            due = time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES
            if due:
                self._last_line = time.monotonic()
        if due:
            self._print(f"{name}: {self._shots[name]} of {self._total.get(name, 0)} shots", sys.stderr)

    def done(self, name: str, report: Report) -> None:
        for line in summary(report):
            self._print(line, sys.stdout)
        super().done(name, report)


class Bars(Quiet):
    """Progress bars on a terminal: shots done and the time left."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._console = Console(stderr=True, highlight=False)
        self._bars = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("shots"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def surveyed(self, name: str, shots: int) -> None:
        self._tasks[name] = self._bars.add_task(name, total=shots)

    def shot(self, name: str) -> None:
        if name in self._tasks:
            self._bars.advance(self._tasks[name])

    def done(self, name: str, report: Report) -> None:
        self._remove(name)
        for line in summary(report):
            self._say(line)
        super().done(name, report)

    def failed(self, name: str, error: StillframeError) -> None:
        self._remove(name)
        super().failed(name, error)

    def _error(self, text: str) -> None:
        self._say(f"stillframe: {text}", style="red")

    def _say(self, text: str, style: str | None = None) -> None:
        self._console.print(text, style=style, markup=False, soft_wrap=True)

    def _remove(self, name: str) -> None:
        if name in self._tasks:
            # the bar is seen full before it goes, however short the work was
            self._bars.refresh()
            self._bars.remove_task(self._tasks.pop(name))


def summary(report: Report) -> list[str]:
    """A finished video in a line, and a line for each thing worth knowing."""
    pictures = [output for output in report.outputs if output.kind != "track"]
    track = next((output for output in report.outputs if output.kind == "track"), None)
    noun = "sheet" if report.sheet else "still"
    size = f"{pictures[0].width_px}x{pictures[0].height_px}" if pictures else ""
    made = f"{len(pictures)} {noun}{'s' if len(pictures) != 1 else ''} of {size}"
    where = pictures[0].name if len(pictures) == 1 else f"{pictures[0].name} … {pictures[-1].name}"
    if track is not None:
        made, where = f"a track and {made}", track.name
    seconds = report.stats.seconds.get("wall", 0.0)
    stats, size_bytes = report.stats, report.size_bytes
    is_far = stats.requests != stats.reads
    read = ""
    # a small file is read more than once, by each thread, which is of no interest where it costs nothing
    if is_far or stats.bytes_read < size_bytes:
        read = f", {share_text(stats.bytes_read, size_bytes, stats.requests if is_far else None)}"
    head = f"{report.source}: {made} in {seconds:.2f} s{read}: {where}"
    return [head, *(f"  note: {note}" for note in report.notes)]
