"""What the tests in Chromium share: the browser, the site with the film, and the service that has it, too."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from film_site import CELL_WIDTH_PX, COLUMNS, LINES, FilmSite, film_site
from playwright.sync_api import Browser
from sqlalchemy import URL

import chromium
from service_client import Service, service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.browser() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilmSite]:
    with film_site(tmp_path_factory.mktemp("site")) as serving:
        yield serving


@pytest.fixture(scope="module")
def running(
    module_database_url: URL, site: FilmSite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """The service, with the film in its bucket `local`."""
    with service(module_database_url, tmp_path_factory.mktemp("service") / "data") as started:
        shutil.copy(site.film.path, started.folder / "movie.mp4")
        yield started


@pytest.fixture(scope="module")
def signed_track(running: Service) -> str:
    """The link to the film's track, with a signed link for each sheet in it."""
    job_id = running.client.submit(
        "oss://local/movie.mp4",
        "oss://local/thumbs/movie.vtt",
        "S00000002-000031",
        Interval=1,
        Width=CELL_WIDTH_PX,
        SpriteSnapshotConfig={"Columns": COLUMNS, "Lines": LINES},
    )
    running.client.succeeded(job_id)
    link = running.client.urls(job_id)["WebVTTUrl"]
    assert isinstance(link, str)
    return link
