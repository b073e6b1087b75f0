"""Pipelines: what waits in each of them, and pausing, resuming and changing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, get_args

from starlette.responses import Response

from stillframe.catalog import active_hours
from stillframe.catalog.models import PipelineSpeed
from stillframe.catalog.pipelines import DEFAULT_PRIORITY, PipelineView
from stillframe.console.config_form import told
from stillframe.console.form_values import short_text, whole_number
from stillframe.console.page import Page, Stream, Watched
from stillframe.console.visit import Visit
from stillframe.errors import ConfigError
from stillframe.jobs.standing import Standing

_MOST_NAME_BYTES, _MOST_HOURS_BYTES, _MOST_ZONE_BYTES = 128, 256, 64
_MOST_AT_ONCE = 10_000
_NOTHING = Standing()
_EMPTY = {
    "Name": "",
    "Priority": str(DEFAULT_PRIORITY),
    "MaxConcurrency": "",
    "ActiveHours": "",
    "TimeZone": "",
    "Speed": "Standard",
}


@dataclass(frozen=True, slots=True)
class _Editor:
    """The fields of a pipeline as texts, what they mean, and what is wrong with them."""

    texts: Mapping[str, str]
    values: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Line:
    """A pipeline as it stands now. `age_s` is for how long the one has waited that waits the longest."""

    pipeline: PipelineView
    standing: Standing
    age_s: float | None


def list_pipelines(visit: Visit) -> Response:
    """The account's pipelines, the oldest first."""
    return _list(visit)


def watch_list(visit: Visit) -> Watched:
    """All that the list shows, and ages as roughly as they are read."""
    account_id = visit.account_id
    pipelines, control = visit.services.pipelines, visit.services.pipeline_control

    def look() -> object:
        lines = _lines(pipelines.all_of_account(account_id), control.standings(account_id))
        return [(line.pipeline, line.standing, _roughly(line.age_s)) for line in lines]

    return Watched(("pipelines", account_id), look)


def show_pipeline(visit: Visit) -> Response:
    """One pipeline, as it stands."""
    return _show(visit)


def watch_pipeline(visit: Visit) -> Watched:
    """All that its page shows."""
    account_id, pipeline_id = visit.account_id, visit.path["pipeline_id"]
    pipelines, control = visit.services.pipelines, visit.services.pipeline_control

    def look() -> object:
        (line,) = _lines([pipelines.of_account(account_id, pipeline_id)], control.standings(account_id))
        return line.pipeline, line.standing, _roughly(line.age_s)

    return Watched(("pipeline", account_id, pipeline_id), look)


def pause(visit: Visit) -> Response:
    """Begin nothing more of it."""
    paused = visit.services.pipeline_control.pause(visit.account_id, visit.path["pipeline_id"])
    return _after(visit, f"{paused.name} is paused. What is in work goes on to its end.")


def resume(visit: Visit) -> Response:
    """Let it go on."""
    resumed, waiting = visit.services.pipeline_control.resume(visit.account_id, visit.path["pipeline_id"])
    held_up = {0: "", 1: " One job had been held up."}.get(waiting, f" {waiting} jobs had been held up.")
    return _after(visit, f"{resumed.name} goes on.{held_up}")


def new(visit: Visit) -> Response:
    """The form of a new one."""
    return _edit(visit, _Editor(_EMPTY), None)


def create(visit: Visit) -> Response:
    """Make a queue."""
    editor = _sent(visit)
    if editor.errors:
        return _edit(visit, editor, None)
    made = visit.services.pipelines.create(
        visit.account_id,
        editor.values["Name"],
        speed=editor.values["Speed"],
        priority=editor.values["Priority"],
        max_concurrency=editor.values["MaxConcurrency"] or None,
        active_hours=editor.values["hours"],
    )
    return visit.go(f"/pipelines/{made.pipeline_id}", done="The pipeline is made.")


def edit(visit: Visit) -> Response:
    """The form of one that is there."""
    pipeline = visit.services.pipelines.of_account(visit.account_id, visit.path["pipeline_id"])
    texts = {
        "Name": pipeline.name,
        "Priority": str(pipeline.priority),
        "MaxConcurrency": str(pipeline.max_concurrency or ""),
        "ActiveHours": pipeline.active_hours or "",
        "TimeZone": pipeline.time_zone or "",
        "Speed": pipeline.speed,
    }
    return _edit(visit, _Editor(texts), pipeline)


def update(visit: Visit) -> Response:
    """Change it, and with it what waits there."""
    pipeline = visit.services.pipelines.of_account(visit.account_id, visit.path["pipeline_id"])
    editor = _sent(visit)
    if editor.errors:
        return _edit(visit, editor, pipeline)
    hours = editor.values["hours"]
    visit.services.pipeline_control.update(
        visit.account_id,
        pipeline.pipeline_id,
        name=editor.values["Name"],
        priority=editor.values["Priority"],
        max_concurrency=editor.values["MaxConcurrency"],
        active_hours=hours.text if hours is not None else active_hours.ALWAYS,
        time_zone=hours.time_zone if hours is not None else None,
    )
    return visit.go(f"/pipelines/{pipeline.pipeline_id}", done="The pipeline is changed.")


def delete(visit: Visit) -> Response:
    """Remove one whose jobs are all done."""
    visit.services.pipeline_control.delete(visit.account_id, visit.path["pipeline_id"])
    return visit.go("/pipelines", done="The pipeline is deleted.")


PAGES = (
    Page("/pipelines", list_pipelines, ("ListPipelines",), title="Pipelines"),
    Stream("/pipelines/events", watch_list, ("ListPipelines",)),
    Page("/pipelines/new", new, ("CreatePipeline",)),
    Page("/pipelines/new", create, ("CreatePipeline",), method="POST"),
    Page("/pipelines/{pipeline_id}", show_pipeline, ("GetPipeline",)),
    Stream("/pipelines/{pipeline_id}/events", watch_pipeline, ("GetPipeline",)),
    Page("/pipelines/{pipeline_id}/edit", edit, ("UpdatePipeline", "GetPipeline")),
    Page("/pipelines/{pipeline_id}/edit", update, ("UpdatePipeline", "GetPipeline"), method="POST"),
    Page("/pipelines/{pipeline_id}/pause", pause, ("UpdatePipeline",), method="POST"),
    Page("/pipelines/{pipeline_id}/resume", resume, ("UpdatePipeline",), method="POST"),
    Page("/pipelines/{pipeline_id}/delete", delete, ("DeletePipeline",), method="POST"),
)


def _list(visit: Visit, done: str | None = None) -> Response:
    account_id = visit.account_id
    found = visit.services.pipelines.all_of_account(account_id)
    return visit.show(
        "pipelines/list.html",
        part="pipelines/_rows.html",
        lines=_lines(found, visit.services.pipeline_control.standings(account_id)),
        done=done,
    )


def _show(visit: Visit, done: str | None = None) -> Response:
    found = visit.services.pipelines.of_account(visit.account_id, visit.path["pipeline_id"])
    (line,) = _lines([found], visit.services.pipeline_control.standings(visit.account_id))
    return visit.show("pipelines/pipeline.html", part="pipelines/_pipeline.html", line=line, done=done)


def _after(visit: Visit, done: str) -> Response:
    """The page that the button stood on, as it is now."""
    is_on_list = visit.form.get("on") == "list"
    if not visit.is_part:
        return visit.go("/pipelines" if is_on_list else f"/pipelines/{visit.path['pipeline_id']}", done=done)
    visit.demand("ListPipelines" if is_on_list else "GetPipeline")
    return _list(visit, done) if is_on_list else _show(visit, done)


def _lines(pipelines: list[PipelineView], standings: Mapping[str, Standing]) -> list[_Line]:
    now = datetime.now(UTC)
    lines = []
    for pipeline in pipelines:
        standing = standings.get(pipeline.pipeline_id, _NOTHING)
        oldest = standing.oldest_at
        # the database's clock may be a little before ours
        age_s = max((now - oldest).total_seconds(), 0.0) if oldest is not None else None
        lines.append(_Line(pipeline, standing, age_s))
    return lines


def _roughly(age_s: float | None) -> int | None:
    """An age that changes as often as its text should: every ten seconds, later every minute."""
    if age_s is None:
        return None
    return int(age_s // 10 * 10 if age_s < 60 else age_s // 60 * 60)


def _edit(visit: Visit, editor: _Editor, pipeline: PipelineView | None) -> Response:
    return visit.show(
        "pipelines/form.html",
        status=400 if editor.errors else 200,
        editor=editor,
        this=pipeline,
        speeds=[(speed, speed) for speed in get_args(PipelineSpeed)],
    )


def _sent(visit: Visit) -> _Editor:
    texts = {name: visit.form.get(name, "").strip()[:1000] for name in _EMPTY}
    readers: Mapping[str, Callable[[str, str], object]] = {
        "Name": lambda name, text: short_text(name, text, _MOST_NAME_BYTES),
        "Priority": lambda name, text: whole_number(name, text, 1, 10),
        # none is no limit, as 0 is
        "MaxConcurrency": lambda name, text: whole_number(name, text or "0", 0, _MOST_AT_ONCE),
        "Speed": _speed,
        "hours": lambda *_: _hours(texts["ActiveHours"], texts["TimeZone"]),
    }
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, read in readers.items():
        try:
            values[name] = read(name, texts.get(name, ""))
        except ConfigError as error:
            errors[error.path] = told(error)
    return _Editor(texts, values, errors)


def _speed(name: str, text: str) -> PipelineSpeed:
    for speed in get_args(PipelineSpeed):
        if text in ("", speed):
            known: PipelineSpeed = speed
            return known
    raise ConfigError(name, text, f"one of {', '.join(get_args(PipelineSpeed))}")


def _hours(text: str, time_zone: str) -> active_hours.ActiveHours | None:
    """The hours of a pipeline; none is always. Raises ConfigError."""
    if not text or text == active_hours.ALWAYS:
        if time_zone:
            raise ConfigError("TimeZone", time_zone, "left out where there are no hours")
        return None
    short_text("ActiveHours", text, _MOST_HOURS_BYTES)
    if time_zone:
        short_text("TimeZone", time_zone, _MOST_ZONE_BYTES)
    return active_hours.parse(text, time_zone or active_hours.UTC)
