"""Pages out of templates (Jinja2), everything escaped; and what one page leaves to be said by the next."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from stillframe import __version__
from stillframe.console.static_files import StaticFiles

_FLASH = "stillframe_flash"
_FLASH_S = 30
_LONGEST_FLASH = 600


class Templating:
    """Renders the templates of the folder `templates`."""

    def __init__(self, static: StaticFiles) -> None:
        self._static = static
        self._environment = Environment(
            loader=PackageLoader("stillframe.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "bytes": bytes_text,
            "moment": moment_text,
            "duration": duration_text,
            "utc": utc_text,
            "iso": iso_text,
            "pretty": pretty_json,
        }
        self._environment.globals["version"] = __version__

    def render(self, template: str, root: str, **values: Any) -> str:
        """The text of a template; `root` is the path that the console is reached by."""
        return self._environment.get_template(template).render(
            root=root,
            static=lambda name: f"{root}/static/{self._static.name(name)}",
            **values,
        )

    def keep_flash(self, response: Response, root: str, kind: str, text: str) -> None:
        """Leave a line to be said by the next page."""
        value = quote(json.dumps([kind, text[:_LONGEST_FLASH]]))
        response.set_cookie(
            _FLASH, value, max_age=_FLASH_S, path=root, httponly=True, samesite="lax", secure=False
        )

    def take_flash(self, cookies: dict[str, str]) -> tuple[str, str] | None:
        """The line that was left."""
        try:
            kind, text = json.loads(unquote(cookies[_FLASH]))
        except (KeyError, ValueError, TypeError):
            return None
        return (kind, str(text)) if kind in ("done", "failed") else None

    def drop_flash(self, response: Response, root: str) -> None:
        """It was said."""
        response.delete_cookie(_FLASH, path=root, httponly=True, samesite="lax")


def bytes_text(number: float) -> str:
    """A number of bytes as people read it: 1.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def moment_text(milliseconds: int) -> str:
    """A moment of a video: 1:02:03.500, without hours where there are none."""
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{text}.{thousandths:03}" if thousandths else text


def duration_text(seconds: float) -> str:
    """How long something took: 340 ms, 12.3 s, 12 s, 4 min 10 s, 4 min."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
    return text.removesuffix(" 0 s").removesuffix(" 0 min")


def utc_text(time: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def iso_text(time: datetime) -> str:
    """The same for programs."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def pretty_json(value: Any) -> str:
    """JSON on several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False)
