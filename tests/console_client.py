"""Somebody at the console without a browser: keeps cookies, and sends forms as a page does.

with visiting(running.port) as visitor:
    visitor.log_in_by_link(running.assembly.login_link())
    visitor.get("/jobs").text
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import httpx

from stillframe.accounts.keys import NewKey

DEADLINE_S = 60


class Visitor:
    """One browser's worth of cookies. Redirects are not followed."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.origin, timeout=DEADLINE_S, trust_env=False)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """A page below /console."""
        return self.http.get(f"/console{path}", headers=headers)

    def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        """A form, exactly as it is given, with an Origin that may be given as well."""
        sent = {"Origin": self.origin} | headers
        return self.http.post(f"/console{path}", data=form or {}, headers=sent)

    def send(self, path: str, **form: str) -> httpx.Response:
        """A form of one of our pages, with its token."""
        return self.post(path, {"csrf": self.csrf(), **form})

    def csrf(self) -> str:
        """The token that the pages' forms have."""
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.get("/nothing").text)
        assert found is not None
        return found[1]

    def log_in_by_link(self, link: str | None) -> httpx.Response:
        """What the login page does with a printed link."""
        assert link is not None
        return self.post("/login", {"link": link.partition("#")[2], "next": ""})

    def log_in_by_key(self, key: NewKey, next_path: str = "") -> httpx.Response:
        """The first form of the login page."""
        return self.log_in_by_key_text(key.access_key_id, key.secret, next_path)

    def log_in_by_key_text(self, access_key_id: str, secret: str, next_path: str = "") -> httpx.Response:
        """The same with a key that was printed."""
        form = {"access_key_id": access_key_id, "access_key_secret": secret, "next": next_path}
        return self.post("/login", form)

    @property
    def is_in(self) -> bool:
        """Whether the pages know who this is."""
        return self.get("/nothing").status_code == 404


@contextlib.contextmanager
def visiting(port: int) -> Iterator[Visitor]:
    """A visitor who is nobody yet."""
    visitor = Visitor(port)
    with contextlib.closing(visitor.http):
        yield visitor


def linked_fields(page: str) -> list[str]:
    """The fields that the line over a refused form leads to; it counts them, and each is there to be led to."""
    told = re.search(r'role="alert">(\d+) fields? (?:is|are) not right: (.*?)</p>', page)
    assert told, page
    names = re.findall(r'<a href="#field-([^"]+)">', told[2])
    assert len(names) == int(told[1])
    assert all(f'id="field-{name}"' in page for name in names)
    return names
