"""A film with its track, as the command has written it, in a folder that nginx serves as it is.

with film_site(folder) as site:
    site.page("<!doctype html>...")
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from nginx import listeners, nginx
from stillframe.testing import Clip, videos

NODE_MODULES = Path(__file__).parent / "node_modules"
#: sixty cells of 96x54, a second each, in two sheets
FILM_S, COLUMNS, LINES, CELL_WIDTH_PX = 60, 6, 5, 96


@dataclass(frozen=True, slots=True)
class FilmSite:
    """`movie.mp4`, `movie.vtt` and its sheets, and the players in `node_modules`."""

    folder: Path
    url: str
    film: Clip

    def page(self, html: str) -> str:
        """The address of a new page that lies beside the film."""
        return f"{self.url}/{self.file(html, '.html')}"

    def file(self, text: str, ending: str) -> str:
        """The name of a new file that lies beside the film."""
        name = f"{token_hex(4)}{ending}"
        (self.folder / name).write_text(text, encoding="utf-8")
        return name


@contextmanager
def film_site(root: Path) -> Iterator[FilmSite]:
    """The site, until the end, in an empty folder."""
    folder = root / "served"
    folder.mkdir()
    film = videos.make(folder / "movie.mp4", frames=FILM_S * 5, fps=5, gop=5, width=384, height=216)
    command = [sys.executable, "-m", "stillframe", "snap", str(film.path), "-o", str(folder / "movie.vtt")]
    options = ["--type", "WebVtt", "--tiled", "--interval", "1", "--frame-type", "normal"]
    grid = ["--width", str(CELL_WIDTH_PX), "--columns", str(COLUMNS), "--lines", str(LINES)]
    subprocess.run([*command, *options, *grid], check=True, capture_output=True)
    (folder / "node_modules").symlink_to(NODE_MODULES)
    with listeners(1) as sockets:
        port = sockets[0].getsockname()[1]
        # Debian's types have none for .vtt
        served = f"include /etc/nginx/mime.types; server {{ listen 127.0.0.1:{port}; root {folder}; }}"
        with nginx(root, served, sockets):
            yield FilmSite(folder, f"http://127.0.0.1:{port}", film)
