"""The style sheet, scripts and icons, by names that say what is in them: they are never asked for twice."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is answered."""

    body: bytes
    content_type: str


class StaticFiles:
    """All files of the folder `static` that browsers get, read once."""

    def __init__(self) -> None:
        self._by_name: dict[str, StaticFile] = {}
        self._names: dict[str, str] = {}
        for file in files("stillframe.console").joinpath("static").iterdir():
            stem, dot, suffix = file.name.rpartition(".")
            if (content_type := _TYPES.get(dot + suffix)) is None:
                continue
            body = file.read_bytes()
            name = f"{stem}.{hashlib.sha256(body).hexdigest()[:12]}.{suffix}"
            self._by_name[name] = StaticFile(body, content_type)
            self._names[file.name] = name

    def name(self, file_name: str) -> str:
        """The name that a file is asked for by. Raises KeyError."""
        return self._names[file_name]

    def find(self, name: str) -> StaticFile | None:
        """The file of such a name."""
        return self._by_name.get(name)
