"""A sink is where outputs go: a folder, memory, a job's bucket.

The three steps name an output by its kind and index only; the sink derives the name. Worked example:

    sink = FolderSink("out/{Count}.jpg")
    sink.put(Item("still", 1, width_px=160, height_px=90), jpeg)    # writes out/00001.jpg
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from stillframe.errors import ConfigError, SinkError, os_reason
from stillframe.media.config import SnapshotConfig

OutputKind = Literal["still", "sheet", "track"]
PictureFormat = Literal["jpeg", "png"]

_SUFFIXES: dict[str, PictureFormat] = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png"}


@dataclass(frozen=True, slots=True)
class Item:
    """One file to write: what it is, counted from 1; sizes in pixels, 0 for a track."""

    kind: OutputKind
    index: int
    width_px: int = 0
    height_px: int = 0


@dataclass(frozen=True, slots=True)
class Output:
    """One file that was written."""

    kind: OutputKind
    index: int
    name: str
    size_bytes: int
    width_px: int = 0
    height_px: int = 0


class Sink(Protocol):
    """Where outputs go. Safe to use from several threads at once."""

    @property
    def names(self) -> Names:
        """How this sink names its outputs."""

    def put(self, item: Item, data: bytes) -> Output:
        """Write one output whole or not at all. Raises SinkError."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the outputs from a template such as `thumbs/{Count}.jpg` or `thumbs/movie.vtt`.

    `{Count}` numbers stills and `{TileCount}` sheets, with five digits from 00001. The pictures of a track
    `a/x.vtt` lie in the folder `a/x`.
    """

    template: str
    track: bool = False
    #: what stands for `{Name}` (the command's placeholder for the input's name); itself never searched
    name: str = "{Name}"

    @property
    def picture_format(self) -> PictureFormat:
        """How pictures are encoded, by the template's suffix; a track's are JPEG."""
        return "jpeg" if self.track else _SUFFIXES[Path(self.template).suffix.lower()]

    def of(self, kind: OutputKind, index: int) -> str:
        """The name of one output."""
        number = f"{index:05d}"
        template = self.template
        if self.track and kind != "track":
            template = f"{template[:-4]}/snapshot-{'tile-' if kind == 'sheet' else ''}{number}.jpg"
        elif kind != "track":
            template = template.replace("{Count}" if kind == "still" else "{TileCount}", number)
        return template.replace("{Name}", self.name)

    def beside_track(self, kind: OutputKind, index: int) -> str:
        """The name of a picture relative to the folder of its track."""
        track = self.of("track", 1)
        return self.of(kind, index)[len(track) - len(track.rpartition("/")[2]) :]


def names_for(template: str, config: SnapshotConfig, name: str = "{Name}") -> Names:
    """The names that a template gives for a config. Raises ConfigError when it cannot hold the outputs."""
    if not template or "\0" in template:
        raise ConfigError("Output", template, "a file name")
    file_name = template.rpartition("/")[2]
    if config.type == "WebVtt":
        if not file_name.lower().endswith(".vtt") or len(file_name) == 4:
            raise ConfigError("Output", template, "a name that ends in .vtt, for Type WebVtt")
        if "{Count}" in template or "{TileCount}" in template:
            raise ConfigError(
                "Output", template, "a name without placeholders, for Type WebVtt: there is one track"
            )
        return Names(template, track=True, name=name)
    if Path(file_name).suffix.lower() not in _SUFFIXES:
        raise ConfigError("Output", template, f"a name that ends in {', '.join(_SUFFIXES)}")
    foreign = {"Normal": "{TileCount}", "Sprite": "{Count}"}[config.type]
    if foreign in template:
        right = "{Count}" if foreign == "{TileCount}" else "{TileCount}"
        raise ConfigError("Output", template, f"a name with {right}, for Type {config.type}, not {foreign}")
    return Names(template, name=name)


def demand_placeholder(names: Names, config: SnapshotConfig) -> None:
    """Refuse a template without a placeholder where several files may come: the service's rule, by syntax."""
    several_stills = (config.count or 1) > 1 or (config.count is None and config.step_ms > 0)
    if config.type == "Sprite" and "{TileCount}" not in names.template:
        raise ConfigError("Output", names.template, "a name with {TileCount}, for Type Sprite")
    if config.type == "Normal" and several_stills and "{Count}" not in names.template:
        raise ConfigError("Output", names.template, "a name with {Count}, since several snapshots were asked")


def demand_room(names: Names, kind: OutputKind, number_of_files: int) -> None:
    """Refuse a template without a placeholder when, as is now known, several files come of it."""
    placeholder = "{Count}" if kind == "still" else "{TileCount}"
    if number_of_files > 1 and not names.track and placeholder not in names.template:
        raise ConfigError(
            "Output", names.template, f"a name with {placeholder}, since {number_of_files} files come of it"
        )


class FolderSink:
    """Files on disk, each written to a temporary name beside it and then renamed.

    Folders that the placeholders or a track make are created, and so is the base folder when only that last one
    is missing; a longer missing path is taken for a typing mistake. The base folder is what stands before
    the template's first placeholder; `name` stands for `{Name}`.
    """

    def __init__(self, template: str, config: SnapshotConfig, name: str = "{Name}") -> None:
        self.names = names_for(template, config, name)
        try:
            self._check_base(Path(base_folder(template)))
        except (OSError, ValueError) as error:
            if isinstance(error, SinkError):
                raise
            raise SinkError(template, os_reason(error)) from error
        kinds: tuple[OutputKind, ...] = ("track",) if self.names.track else ("still", "sheet")
        for kind in kinds:
            if os.path.isdir(self.names.of(kind, 1)):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
                raise SinkError(self.names.of(kind, 1), "is a folder")

    def put(self, item: Item, data: bytes) -> Output:
        name = self.names.of(item.kind, item.index)
        path = Path(name)
        self._make_folder(path.parent)
        temporary = path.with_name(f".{os.urandom(8).hex()}.part")
        try:
            with temporary.open("xb") as file:
                file.write(data)
            temporary.replace(path)
        except OSError as error:
            raise SinkError(name, os_reason(error)) from error
        finally:
            # after the rename there is nothing to remove; after a failure, or Ctrl-C, nothing partial stays
            with contextlib.suppress(OSError):
                temporary.unlink()
        return Output(item.kind, item.index, name, len(data), item.width_px, item.height_px)

    def _check_base(self, folder: Path) -> None:
        """Refuse a folder that cannot be made or written to, before anything is decoded for it."""
        where = folder if os.path.isdir(folder) else folder.parent  # noqa: PTH112 - raises for no name
        if folder.exists() and not folder.is_dir():
            raise SinkError(str(folder), "is a file, not a folder")
        if not where.is_dir():
            raise SinkError(str(folder), f"the folder {where} does not exist")
        if not os.access(where, os.W_OK | os.X_OK):
            raise SinkError(
                str(folder), "the folder is not writable" if where == folder else "permission denied"
            )

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise SinkError(str(folder), "is a file, not a folder") from error
        except OSError as error:
            raise SinkError(str(folder), os_reason(error)) from error


def base_folder(template: str) -> str:
    """The folder that a template names before its first placeholder."""
    return str(Path(re.split(r"\{(?:Name|Count|TileCount)\}", template, maxsplit=1)[0] + "x").parent)


class MemorySink:
    """Outputs kept in memory, by name: for tests and small jobs."""

    def __init__(self, template: str = "{Count}.png", config: SnapshotConfig | None = None) -> None:
        self.names = names_for(template, config or SnapshotConfig())
        self.files: dict[str, bytes] = {}

    def put(self, item: Item, data: bytes) -> Output:
        name = self.names.of(item.kind, item.index)
        self.files[name] = data
        return Output(item.kind, item.index, name, len(data), item.width_px, item.height_px)
