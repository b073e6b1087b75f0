"""/openapi.json: what docs/openapi.json says, with the server's own address, for whoever asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from ims_server import over_http
from stillframe.server.api_document import PATH, document_route

CHECKED_IN = Path(__file__).parents[2] / "docs" / "openapi.json"
PUBLIC_URL = "https://snapshots.example.com"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    app = Starlette(routes=[document_route(lambda: PUBLIC_URL)])
    with (
        over_http(app) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        yield http


def test_it_is_what_is_checked_in_but_for_the_address(client: httpx.Client) -> None:
    told = client.get(PATH)
    assert told.headers["Content-Type"] == "application/json"
    assert told.headers["Access-Control-Allow-Origin"] == "*"
    assert told.json().pop("servers") == [{"url": PUBLIC_URL}]
    checked_in = json.loads(CHECKED_IN.read_text(encoding="utf-8"))
    assert told.json() | {"servers": checked_in["servers"]} == checked_in


def test_a_head_is_the_same_without_the_body(client: httpx.Client) -> None:
    whole, head = client.get(PATH), client.head(PATH)
    assert (head.status_code, head.content) == (200, b"")
    same = ("content-type", "content-length", "etag", "cache-control")
    assert [head.headers[name] for name in same] == [whole.headers[name] for name in same]
    assert int(head.headers["content-length"]) == len(whole.content)


@pytest.mark.parametrize(("known", "status"), [("{}", 304), ('W/{}, "old"', 304), ("*", 304), ('"old"', 200)])
def test_who_has_it_already_is_told_so(client: httpx.Client, known: str, status: int) -> None:
    whole = client.get(PATH)
    assert whole.headers["Cache-Control"] == "public, no-cache"
    again = client.get(PATH, headers={"If-None-Match": known.format(whole.headers["ETag"])})
    assert (again.status_code, again.content) == (status, b"" if status == 304 else whole.content)
    assert again.headers["ETag"] == whole.headers["ETag"]


def test_nothing_else_can_be_done_with_it(client: httpx.Client) -> None:
    assert client.post(PATH).status_code == 405
