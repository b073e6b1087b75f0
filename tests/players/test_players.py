"""Real players show over their time bar the cell that the moment under the pointer belongs to.

The players come from npm: `npm ci` in this folder, then `pytest -m players tests/players`. Their pages are those of
docs/players.md. The track lies beside the film in a folder, as the command has written it, or behind a signed link of
the service, on another site than the page.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from film_site import NODE_MODULES, FilmSite
from playwright.sync_api import Browser, Page
from shown import GUIDE, PLAYERS, Player, number_in_cell, open_page, shown, shown_now
from watched import watched_page

from told import blocks, section

#: inside both sheets, and on either side of the seam between them, which is at 30 s; not in the later half of a second,
#: as Shaka's UI and Media Chrome round
TIMES_S = (2.4, 14.4, 29.4, 30.4, 57.4)
SHAKA_ALONE = "Shaka Player without a UI"
STRICT = "Under a strict Content-Security-Policy"

pytestmark = [
    pytest.mark.players,
    pytest.mark.skipif(
        not NODE_MODULES.is_dir(), reason="the players are not installed: npm ci in tests/players"
    ),
]


@pytest.fixture(params=["plain", "signed"])
def track(request: pytest.FixtureRequest) -> str:
    """The address of the film's track, as its page has it."""
    if request.param == "plain":
        return "movie.vtt"
    link: str = request.getfixturevalue("signed_track")
    return link


@pytest.fixture(scope="module")
def shifted_track(site: FilmSite) -> str:
    """A track whose cues are those of the film, each with the cell of the next."""
    text = (site.folder / "movie.vtt").read_text(encoding="utf-8")
    cells = re.findall(r"^.*#xywh=.*$", text, re.M)
    assert len(cells) == 60
    nexts = iter(cells[1:] + cells[:1])
    (site.folder / "shifted.vtt").write_text(re.sub(r"^.*#xywh=.*$", lambda _: next(nexts), text, flags=re.M))
    return "shifted.vtt"


def expected(site: FilmSite, later_s: int = 0) -> dict[float, int]:
    """By time the number that its cell shows: a cell holds the frame of its second's start."""
    return {time_s: site.film.number_at((int(time_s) + later_s) * 1000) for time_s in TIMES_S}


@pytest.mark.parametrize("player", PLAYERS, ids=lambda player: player.heading)
def test_a_player_shows_the_cell_of_the_moment(
    browser: Browser, site: FilmSite, player: Player, track: str
) -> None:
    with watched_page(browser) as page:
        open_page(page, site, player.heading, track)
        for time_s, want in expected(site).items():
            assert shown(page, player, time_s, want) == want, time_s


@pytest.mark.parametrize(
    "player",
    [PLAYERS[0], *(pytest.param(player, marks=pytest.mark.full) for player in PLAYERS[1:])],
    ids=lambda player: player.heading,
)
def test_a_track_that_is_off_by_a_cell_shows(
    browser: Browser, site: FilmSite, player: Player, shifted_track: str
) -> None:
    """What is read follows from the track alone, so that a wrong one cannot pass for a good one."""
    with watched_page(browser) as page:
        open_page(page, site, player.heading, shifted_track)
        for time_s, want in expected(site, later_s=1).items():
            assert shown(page, player, time_s, want) == want, time_s
            assert shown_now(page, player, time_s) != expected(site)[time_s]


@pytest.mark.parametrize("player", [player for player in PLAYERS if player.strict], ids=lambda it: it.heading)
def test_a_player_shows_the_cell_under_a_strict_policy(
    browser: Browser, site: FilmSite, player: Player, track: str
) -> None:
    """The guide's policy, with the service's address where the track is behind a link."""
    policy, allowed = blocks(section(GUIDE, STRICT), "http")
    policy = policy.removeprefix("Content-Security-Policy: ").strip()
    if player.heading == "Media Chrome":
        policy = policy.replace("style-src 'self'", allowed.strip())
    if track != "movie.vtt":
        origin = "http://" + urlsplit(track).netloc
        for kind in ("img-src", "media-src", "connect-src"):
            policy = policy.replace(f"{kind} 'self'", f"{kind} 'self' {origin}")
    with watched_page(browser) as page:
        open_page(page, site, player.heading, track, policy)
        for time_s, want in expected(site).items():
            assert shown(page, player, time_s, want) == want, time_s


def test_shaka_names_the_cell_of_the_moment(browser: Browser, site: FilmSite, track: str) -> None:
    with watched_page(browser) as page:
        open_page(page, site, SHAKA_ALONE, track)
        assert named_by_shaka(page) == expected(site)


def test_shaka_names_other_cells_for_a_track_that_is_off_by_a_cell(
    browser: Browser, site: FilmSite, shifted_track: str
) -> None:
    with watched_page(browser) as page:
        open_page(page, site, SHAKA_ALONE, shifted_track)
        assert named_by_shaka(page) == expected(site, later_s=1)


def named_by_shaka(page: Page) -> dict[float, int | None]:
    named = {
        time_s: page.evaluate("async (seconds) => (await thumbnails)(seconds)", time_s) for time_s in TIMES_S
    }
    return {
        time_s: number_in_cell(
            page,
            {
                "url": found["uris"][0],
                "x": found["positionX"],
                "y": found["positionY"],
                "width": found["width"],
                "height": found["height"],
            },
        )
        for time_s, found in named.items()
    }


def test_a_page_that_asks_a_stranger_or_breaks_its_policy_or_fails_is_seen(
    browser: Browser, site: FilmSite
) -> None:
    strange = site.page('<!doctype html><img src="http://videos.test/picture.png">')
    with (
        pytest.raises(AssertionError, match=r"http://videos\.test/picture\.png"),
        watched_page(browser) as page,
    ):
        page.goto(strange)
    policy = '<meta http-equiv="Content-Security-Policy" content="style-src \'self\'">'
    unstyled = site.page(f"<!doctype html>{policy}<style>a {{ color: red }}</style>")
    with pytest.raises(AssertionError, match="Content Security Policy"), watched_page(browser) as page:
        page.goto(unstyled)
    failing = site.page('<!doctype html><script>throw new Error("no such player")</script>')
    with pytest.raises(AssertionError, match="no such player"), watched_page(browser) as page:
        page.goto(failing)
