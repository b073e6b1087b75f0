"""The third step: the track, which names what was really made, and the report."""

from __future__ import annotations

from collections.abc import Sequence

from stillframe.errors import MediaError
from stillframe.media.geometry import Box
from stillframe.media.render import Rendered
from stillframe.media.report import Report, ShotReport, ShotStatus, Stats
from stillframe.media.sink import Item, Sink
from stillframe.media.survey import Fate, Survey
from stillframe.media.tracks import webvtt

_MOMENTS_SHOWN = 10


def finish(survey: Survey, rendered: Sequence[Rendered], sink: Sink, stats: Stats | None = None) -> Report:
    """Write the track, last of all, and put the report together. Raises MediaError when no picture was made."""
    total = stats or Stats()
    for part in rendered:
        total.add(part.stats)
    made = {report.index: report for part in rendered for report in part.shots}
    shots = tuple(
        made.get(shot.index)
        or ShotReport(
            shot.index,
            shot.requested_ms,
            "missing" if shot.fate == "planned" else shot.fate,
            reason=shot.reason,
        )
        for shot in survey.shots
    )
    outputs = [output for part in rendered for output in part.outputs]
    taken = [shot for shot in shots if shot.status in ("taken", "replaced")]
    missing = [shot for shot in shots if shot.status == "missing"]
    if not taken:
        raise MediaError(survey.probe.source, "no-picture", _nothing(shots))
    if survey.config.type == "WebVtt":
        text = webvtt.write(_cues(survey, shots, sink))
        outputs.append(sink.put(Item("track", 1), text.encode()))
    planned = len(taken) + len(missing)
    ok = len(missing) * 100 <= survey.config.allow_missing * planned
    return Report(
        source=survey.probe.source,
        size_bytes=survey.probe.size_bytes,
        duration_ms=survey.probe.duration_ms,
        ok=ok,
        code=None if ok else MediaError.code,
        message=None if ok else _what_is_missing(missing, planned),
        shots=shots,
        outputs=tuple(outputs),
        still_width_px=survey.placement.canvas.width,
        still_height_px=survey.placement.canvas.height,
        sheet=survey.sheet,
        notes=(*survey.probe.notes, *notes_of(survey, [shot.status for shot in shots])),
        stats=total,
    )


def _cues(survey: Survey, shots: Sequence[ShotReport], sink: Sink) -> list[webvtt.Cue]:
    placed = [shot for shot in survey.shots if shot.position is not None]
    present = [shots[shot.index].status in ("taken", "replaced") for shot in placed]
    spans = webvtt.cue_spans(
        [shot.requested_ms for shot in placed],
        present,
        interval_ms=survey.step_ms,
        duration_ms=survey.probe.duration_ms,
        runs_to_end=survey.runs_to_end,
    )
    cues = []
    for position, start_ms, end_ms in spans:
        name, box = _where(survey, position, sink)
        cues.append(webvtt.Cue(start_ms, end_ms, name, box.x, box.y, box.width, box.height))
    return cues


def _where(survey: Survey, position: int, sink: Sink) -> tuple[str, Box]:
    if survey.sheet is None:
        canvas = survey.placement.canvas
        return sink.names.beside_track("still", position + 1), canvas
    number, cell = divmod(position, survey.sheet.cells)
    return sink.names.beside_track("sheet", number + 1), survey.sheet.cell(cell)


def notes_of(survey: Survey, statuses: Sequence[ShotStatus | Fate]) -> list[str]:
    """What is worth saying of a survey, and of what became of its shots, or will as far as is known."""
    notes = []
    grid = survey.config.sprite_snapshot_config
    sheet = survey.sheet
    if sheet is not None and (sheet.columns, sheet.lines) != (grid.columns, grid.lines):
        notes.append(
            f"{grid.columns}x{grid.lines} cells of {sheet.cell_width}x{sheet.cell_height} px make too large a "
            f"sheet for players: it has {sheet.columns}x{sheet.lines}"
        )
    dropped = statuses.count("dropped")
    if dropped:
        notes.append(f"{_shots(dropped)} behind the end of the video dropped")
    skipped = statuses.count("skipped")
    if skipped:
        notes.append(f"{_shots(skipped)} without a keyframe near skipped (KeyframeMiss is skip)")
    replaced = statuses.count("replaced")
    if replaced:
        notes.append(f"{_shots(replaced)} replaced by a picture near (the shots tell why)")
    return notes


def _shots(number: int) -> str:
    return f"{number} shot{'' if number == 1 else 's'}"


def _what_is_missing(missing: Sequence[ShotReport], planned: int) -> str:
    moments = ", ".join(f"{shot.requested_ms / 1000:.3f}" for shot in missing[:_MOMENTS_SHOWN])
    more = f" and {len(missing) - _MOMENTS_SHOWN} more" if len(missing) > _MOMENTS_SHOWN else ""
    return f"{len(missing)} of {planned} shots cannot be had: at {moments} s{more} ({missing[0].reason})"


def _nothing(shots: Sequence[ShotReport]) -> str:
    if all(shot.status == "skipped" for shot in shots):
        return "no picture can be made: no shot has a keyframe near it (KeyframeMiss is skip)"
    reason = next(
        (shot.reason for shot in shots if shot.status == "missing" and shot.reason), "no shot is left"
    )
    return f"no picture can be made: {reason}"
