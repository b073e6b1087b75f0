"""`stillframe snap`: pictures and tracks out of videos."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillframe.cli.inputs import Input
from stillframe.cli.progress import Progress, progress_for
from stillframe.cli.times import milliseconds
from stillframe.errors import ConfigError, StillframeError
from stillframe.library import is_address
from stillframe.media import config_json
from stillframe.media.config import (
    RANGES,
    BlackScope,
    Fit,
    FrameType,
    KeyframeMiss,
    SnapshotConfig,
    SnapshotType,
)
from stillframe.media.sink import FolderSink, Sink, names_for

if TYPE_CHECKING:
    from threading import Event

    from stillframe.media.report import Report
    from stillframe.sandbox.parent import Sandbox

EXAMPLES = """Examples:

stillframe snap movie.mp4 -o 'thumbs/{Count}.jpg' --count 5

stillframe snap movie.mp4 -o cover.jpg --time 12.5s --frame-type normal

stillframe snap movie.mp4 -o 'sheet-{TileCount}.jpg' --type Sprite --width 160

stillframe snap movie.mp4 -o movie.vtt --type WebVtt --tiled --interval 10

stillframe snap *.mp4 -o 'out/{Name}.vtt' --config track.json --jobs 2

stillframe snap https://example.com/movie.mp4 -o cover.jpg

stillframe snap 's3://films/movie.mp4?region=eu-west-1' -o 's3://films/thumbs/{Count}.jpg' --count 5
"""
MOST_FAILURES = 63
_LAST_SHOT_S = 5.0


def _number(path: str, flag: str, help_text: str, panel: str | None = None) -> Any:
    low, high = RANGES[path]
    return typer.Option(
        flag, min=low, max=high, help=help_text, rich_help_panel=panel, show_default=False, metavar="N"
    )


def snap(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Videos to read: files, or addresses of s3://, oss://, https:// and http://.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="TEMPLATE",
            help="Where to write: {Count} numbers stills, {TileCount} sheets, {Name} is the input's name "
            "without its ending. The ending says the format: .jpg, .png or .vtt. It may be an address of s3:// or oss://.",
            show_default=False,
        ),
    ],
    type: Annotated[
        SnapshotType | None,
        typer.Option(
            metavar="Normal|Sprite|WebVtt", help="What to make. (default: Normal)", case_sensitive=False
        ),
    ] = None,
    count: Annotated[int | None, _number("Count", "--count", "How many shots.")] = None,
    interval: Annotated[
        int | None,
        typer.Option(parser=milliseconds, metavar="TIME", help="Between two shots: 10, 2.5s, 500ms, 1:30."),
    ] = None,
    time: Annotated[
        int | None,
        typer.Option(
            parser=milliseconds, metavar="TIME", help="The first shot: 12.5s, 1500ms, 1:02:03. (default: 0)"
        ),
    ] = None,
    frame_type: Annotated[
        FrameType | None,
        typer.Option(
            help="Keyframes near the moments (fast), or the exact frames. (default: intra)",
            case_sensitive=False,
        ),
    ] = None,
    width: Annotated[int | None, _number("Width", "--width", "Pixels; alone, it keeps the aspect.")] = None,
    height: Annotated[
        int | None, _number("Height", "--height", "Pixels; alone, it keeps the aspect.")
    ] = None,
    fit: Annotated[
        Fit | None,
        typer.Option(
            help="What to do when width and height change the aspect. (default: stretch)",
            case_sensitive=False,
        ),
    ] = None,
    quality: Annotated[
        int | None, _number("Quality", "--quality", "JPEG quality, 1-100. (default: 85)")
    ] = None,
    tiled: Annotated[
        bool | None,
        typer.Option(
            "--tiled/--single",
            help="WebVtt: sprite sheets, or one picture for each shot.",
            show_default=False,
        ),
    ] = None,
    columns: Annotated[
        int | None,
        _number(
            "SpriteSnapshotConfig.Columns", "--columns", "Cells in a line. (default: 10)", "Sprite sheet"
        ),
    ] = None,
    lines: Annotated[
        int | None,
        _number("SpriteSnapshotConfig.Lines", "--lines", "Lines of cells. (default: 10)", "Sprite sheet"),
    ] = None,
    cell_width: Annotated[
        int | None, _number("SpriteSnapshotConfig.CellWidth", "--cell-width", "Pixels.", "Sprite sheet")
    ] = None,
    cell_height: Annotated[
        int | None, _number("SpriteSnapshotConfig.CellHeight", "--cell-height", "Pixels.", "Sprite sheet")
    ] = None,
    padding: Annotated[
        int | None,
        _number("SpriteSnapshotConfig.Padding", "--padding", "Pixels between cells.", "Sprite sheet"),
    ] = None,
    margin: Annotated[
        int | None,
        _number("SpriteSnapshotConfig.Margin", "--margin", "Pixels around the sheet.", "Sprite sheet"),
    ] = None,
    color: Annotated[
        str | None,
        typer.Option(
            help="Background: a CSS name or #RRGGBB. (default: black)", rich_help_panel="Sprite sheet"
        ),
    ] = None,
    black_level: Annotated[
        int | None,
        _number(
            "BlackLevel",
            "--black-level",
            "Pass over a picture with so many percent of black pixels.",
            "Choice of frames",
        ),
    ] = None,
    pixel_black_threshold: Annotated[
        int | None,
        _number(
            "PixelBlackThreshold",
            "--pixel-black-threshold",
            "Luma below which a pixel is black. (default: 30)",
            "Choice of frames",
        ),
    ] = None,
    black_scope: Annotated[
        BlackScope | None,
        typer.Option(
            help="Which shots the black filter looks at. (default: first)",
            case_sensitive=False,
            rich_help_panel="Choice of frames",
        ),
    ] = None,
    keyframe_miss: Annotated[
        KeyframeMiss | None,
        typer.Option(
            help="Where no keyframe is near. (default: exact)",
            case_sensitive=False,
            rich_help_panel="Choice of frames",
        ),
    ] = None,
    allow_missing: Annotated[
        int | None,
        _number(
            "AllowMissing",
            "--allow-missing",
            "Percent of shots that may be missing in a success. (default: 0)",
            "Choice of frames",
        ),
    ] = None,
    max_read_bytes: Annotated[
        int | None,
        _number("MaxReadBytes", "--max-read-bytes", "The most bytes that may be read of a video."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON with the parameters in their IMS spelling; options given here go over it. - is standard input.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Threads that share one video. (default: one a processor)"),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Videos at the same time.")] = 1,
    sandbox: Annotated[
        bool,
        typer.Option(
            "--sandbox", help="Decode where there is no network, no file and little memory (Linux)."
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object for each video: every shot and output.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
) -> int:
    """Make stills, sprite sheets or a WebVTT thumbnail track of videos.

    Times count from the first picture. One bad file does not stop the others.
    """
    asked: dict[str, Any] = {
        "Type": type,
        "FrameType": frame_type,
        "Count": count,
        "Time": time,
        "Width": width,
        "Height": height,
        "Fit": fit,
        "Quality": quality,
        "IsSptFrag": tiled,
        "BlackLevel": black_level,
        "PixelBlackThreshold": pixel_black_threshold,
        "BlackScope": black_scope,
        "KeyframeMiss": keyframe_miss,
        "AllowMissing": allow_missing,
        "MaxReadBytes": max_read_bytes,
    }
    if interval is not None:
        asked |= {"Interval": interval // 1000} if interval % 1000 == 0 else {"IntervalMs": interval}
    grid = {
        "Columns": columns,
        "Lines": lines,
        "CellWidth": cell_width,
        "CellHeight": cell_height,
        "Padding": padding,
        "Margin": margin,
        "Color": color,
    }
    asked["SpriteSnapshotConfig"] = {key: value for key, value in grid.items() if value is not None} or None
    try:
        parsed = config_json.parse(config_json.merge(_config_file(config), asked))
        _demand_names(output, parsed)
        targets = _targets([Input.of(text) for text in inputs], output)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    with ExitStack() as held:
        if sandbox:
            from stillframe.sandbox.parent import Sandbox

            box: bool | Sandbox = held.enter_context(Sandbox())
        else:
            box = False
        progress = held.enter_context(progress_for(quiet=quiet, as_json=as_json))
        failed = _shoot_all(targets, parsed, progress, threads=threads, jobs=jobs, sandbox=box)
    return min(failed, MOST_FAILURES)


def _shoot_all(
    targets: list[tuple[Input, str]],
    config: SnapshotConfig,
    progress: Progress,
    *,
    threads: int | None,
    jobs: int,
    sandbox: bool | Sandbox,
) -> int:
    """Shoot every video; how many have failed."""
    from stillframe.media.free_memory import give_back_large_blocks_at_once
    from stillframe.media.shoot import default_threads

    give_back_large_blocks_at_once()
    if jobs == 1 or len(targets) == 1:
        share = threads or default_threads()
        return sum(
            not _shoot_one(source, output, config, progress, share, sandbox) for source, output in targets
        )
    from concurrent.futures import ThreadPoolExecutor, wait
    from threading import Event

    share = threads or max(default_threads() // jobs, 1)
    interrupted = Event()
    pool = ThreadPoolExecutor(jobs)
    running = [
        pool.submit(_shoot_one, source, output, config, progress, share, sandbox, interrupted)
        for source, output in targets
    ]
    try:
        return sum(not job.result() for job in running)
    except BaseException:
        interrupted.set()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        # after Ctrl-C each ends with the shot that it is at; what waits for a server ends with the process
        wait([job for job in running if not job.cancelled()], _LAST_SHOT_S)


def _shoot_one(
    source: Input,
    output: str,
    config: SnapshotConfig,
    progress: Progress,
    threads: int,
    sandbox: bool | Sandbox,
    interrupted: Event | None = None,
) -> bool:
    """Shoot one video; whether all that was asked for is there. It ends soon after `interrupted` is set."""
    from stillframe.library import shoot

    name = source.name

    def one_more() -> None:
        if interrupted is not None and interrupted.is_set():
            raise KeyboardInterrupt
        progress.shot(name)

    try:
        with _sink(output, config, source.stem) as sink:
            report: Report = shoot(
                source.what,
                sink,
                config,
                threads=threads,
                sandbox=sandbox,
                on_survey=lambda survey: progress.surveyed(name, survey.planned),
                on_shot=lambda shot: one_more(),
            )
    except StillframeError as error:
        progress.failed(name, error)
        return False
    except MemoryError:
        progress.failed(name, StillframeError(f"{name}: needs more memory than there is"))
        return False
    progress.done(name, report)
    return report.ok


def _targets(inputs: list[Input], output: str) -> list[tuple[Input, str]]:
    """Each input with the template. Raises ConfigError where two inputs would write the same files."""
    taken: dict[str, Input] = {}
    for source in inputs:
        template = output.replace("{Name}", source.stem)
        if template in taken:
            hint = "a template with {Name}" if "{Name}" not in output else "a template that tells them apart"
            allowed = f"{hint}: {taken[template].name} and {source.name} would write the same files"
            raise ConfigError("--output", output, allowed)
        taken[template] = source
    return [(source, output) for source in inputs]


def _demand_names(output: str, config: SnapshotConfig) -> None:
    """Refuse a template that cannot hold the outputs. Raises ConfigError."""
    if is_address(output):
        from stillframe.storage.by_address import output_names

        output_names(output, config)
    else:
        names_for(output, config)


def _sink(output: str, config: SnapshotConfig, name: str) -> AbstractContextManager[Sink]:
    """Where outputs go; at the end of the block they are there."""
    if is_address(output):
        from stillframe.storage.by_address import open_output

        return open_output(output, config, name)
    return nullcontext(FolderSink(output, config, name))


def _config_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    import json

    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"--config {path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        wire = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"--config {path}: is no JSON: {error}") from error
    if not isinstance(wire, dict):
        raise typer.BadParameter(f'--config {path}: must be a JSON object, such as {{"Type": "Sprite"}}')
    return wire
