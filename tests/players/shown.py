"""Where each player shows its thumbnail, and which frame of the film is in it.

with watched_page(browser) as page:
    open_page(page, site, PLAYERS[0].heading, "movie.vtt")
    shown(page, PLAYERS[0], 29.4, want=145)
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from film_site import FILM_S, FilmSite
from playwright.sync_api import Page

from chromium import DEADLINE_S
from hover import number_in, number_over
from told import DOCS, blocks, section

GUIDE = DOCS / "players.md"
#: draws a cell of a picture, which a canvas gives away only when the site of the picture allows it
CELL = """async ({url, x, y, width, height}) => {
  const image = new Image();
  image.crossOrigin = "anonymous"; image.src = url;
  await image.decode();
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(image, -x, -y);
  return [...canvas.getImageData(0, 0, width, height).data];
}"""
#: by its own clock: where a page's policy forbids eval, Playwright cannot wait for a function
_BEGIN = """async (milliseconds) => {
  const end = Date.now() + milliseconds;
  const video = () => document.querySelector("video");
  while (!(video()?.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA)) {
    if (Date.now() > end) throw new Error("the video has not come");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await video().play();
  video().pause();
}"""

#: then the pointer leaves the bar and comes again: the plugin of video.js heeds it only where it came after the track
_ATTEMPTS_INSIDE = 10


@dataclass(frozen=True, slots=True)
class Player:
    """Its page is the one under `heading` in the guide; `bar` and `preview` are CSS selectors.

    The bar's ends are the film's start and end, but for `inset_px` on both sides. A `strict` one needs no
    'unsafe-inline' in a policy.
    """

    heading: str
    bar: str
    preview: str
    inset_px: int = 0
    strict: bool = False


PLAYERS = (
    Player("Media Chrome", "media-time-range #range", "media-preview-thumbnail", strict=True),
    Player("Plyr", ".plyr__progress", ".plyr__preview-thumb__image-container", strict=True),
    Player("video.js", ".vjs-progress-control", ".vjs-vtt-thumbnail-display"),
    Player("Vidstack", ".vds-time-slider", ".vds-slider-thumbnail"),
    Player(
        "Shaka Player with its UI",
        ".shaka-seek-bar",
        ".shaka-player-ui-thumbnail-image-container",
        inset_px=6,
    ),
)


def open_page(page: Page, site: FilmSite, heading: str, track: str, policy: str | None = None) -> None:
    """Open the guide's page with another track, and under a policy if any; the film has begun, and stands still."""
    (html,) = blocks(section(GUIDE, heading), "html")
    assert html.count("movie.vtt") == 1
    html = html.replace("movie.vtt", track)
    page.goto(site.page(html if policy is None else under_policy(site, html, policy)))
    # some players show their bar only then
    page.evaluate(_BEGIN, DEADLINE_S * 1000)


def under_policy(site: FilmSite, html: str, policy: str) -> str:
    """The page with its policy, and with its scripts and styles in files of their own."""

    def filed(match: re.Match[str]) -> str:
        if match["kind"] == "style":
            return f'<link rel="stylesheet" href="{site.file(match["text"], ".css")}">'
        return f'<script src="{site.file(match["text"], ".js")}"></script>'

    html = re.sub(r"<(?P<kind>style|script)>(?P<text>.+?)</(?P=kind)>", filed, html, flags=re.S)
    return f'<!doctype html><meta http-equiv="Content-Security-Policy" content="{policy}">{html}'


def shown(page: Page, player: Player, time_s: float, want: int) -> int | None:
    """The number over a time, as soon as it is the one that is wanted; at the deadline, whatever it is."""
    deadline = time.monotonic() + DEADLINE_S
    for attempt in count(1):
        found = shown_now(page, player, time_s)
        if found == want or time.monotonic() > deadline:
            break
        if attempt % _ATTEMPTS_INSIDE == 0:
            page.mouse.move(0, 0)
    return found


def shown_now(page: Page, player: Player, time_s: float) -> int | None:
    """The number in the preview while the pointer is over a time; None where none can be read."""
    return number_over(page, player.bar, player.preview, time_s / FILM_S, player.inset_px)


def number_in_cell(page: Page, cell: dict[str, Any]) -> int | None:
    """The number in a part of a picture: `url`, `x`, `y`, `width` and `height` in pixels."""
    pixels = np.array(page.evaluate(CELL, cell), np.uint8).reshape(cell["height"], cell["width"], 4)
    return number_in(np.ascontiguousarray(pixels[..., :3]))
