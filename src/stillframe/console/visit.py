"""A visit: one request of somebody who is logged in, and the answers that a page can give.

def show(visit: Visit) -> Response:
    job = visit.services.snapshot_jobs.get(visit.account_id, visit.path["job_id"])
    return visit.show("jobs/job.html", job=job)
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from stillframe.accounts.console_sessions import LoggedIn
from stillframe.console.api_actions import ApiAnswer
from stillframe.console.headers import page_headers
from stillframe.console.login import OVER
from stillframe.console.rooms import Rooms
from stillframe.console.templating import Templating
from stillframe.service.errors import ApiError
from stillframe.service.permission import Circumstances
from stillframe.service.use_cases import Services

_OF_ACCOUNT = (
    "This is for the account itself, and for none of its users. Log in with a key of the account's own, or by a link: "
    "on the server, stillframe console link prints one."
)
_SENT_BEFORE = (
    "This form was sent before, and has done what it says. What it made was shown then, and is not shown again: if "
    "you have lost it, delete it and make another one."
)
_ONCE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Section:
    """A line of the navigation."""

    title: str
    path: str
    is_current: bool


@dataclass
class Visit:
    """One request. `path`, `query` and `form` hold texts; `is_part`: htmx asks for a part of a page only."""

    who: LoggedIn
    rooms: Rooms
    templating: Templating
    root: str
    circumstances: Circumstances
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    is_part: bool
    #: who has the session at the moment
    find_again: Callable[[], LoggedIn | None]
    sections: Sequence[Section] = ()
    #: what the visit before has left to be said: ("done" or "failed", text)
    flash: tuple[str, str] | None = None
    #: of all pages that there are
    paths: Sequence[str] = ()
    #: origins that the page has pictures and videos from, besides the server itself
    media_origins: set[str] = field(default_factory=set)
    #: origins that its scripts fetch from
    fetched_origins: set[str] = field(default_factory=set)

    @property
    def account_id(self) -> str:
        """Whose things these are."""
        return self.who.caller.account_id

    @property
    def is_operator(self) -> bool:
        """Whether the visitor may bind buckets to places of the server (docs/decisions/0037)."""
        return self.who.is_operator

    @property
    def services(self) -> Services:
        """The use cases."""
        return self.rooms.services

    @property
    def is_account(self) -> bool:
        """Whether it is the account itself, by a link or a key of its own, and none of its users."""
        return self.who.caller.principal.is_account

    def demand_account(self) -> None:
        """Raises ApiError (NoPermission) unless it is the account itself."""
        if not self.is_account:
            raise ApiError("NoPermission", _OF_ACCOUNT)

    def demand_once(self) -> None:
        """Raises ApiError for a form that was sent before: reloading its answer sends it again.

        Such a form has the field `once` (`parts.once`).
        """
        once = self.form.get("once", "")
        if not _ONCE.fullmatch(once):
            raise ApiError("InvalidParameter", "This form is not complete. Open the page again.")
        # with its session goes the token that the form needs, too
        if not self.rooms.nonces.use(once, self.account_id, self.who.ends_at):
            raise ApiError("InvalidParameter", _SENT_BEFORE)

    @property
    def once(self) -> str:
        """What makes a form one that counts once."""
        return secrets.token_hex(16)

    def demand(self, action: str) -> None:
        """Raises ApiError (NoPermission) unless the visitor may do this."""
        self.rooms.permission.demand(self.who.caller, action, self.circumstances)

    def demand_still(self, action: str) -> None:
        """As `demand`, of whom the session belongs to now: for what takes long. Raises ApiError, also if it is over."""
        who = self.find_again()
        if who is None:
            raise ApiError("NoPermission", OVER["session"])
        now = replace(self.circumstances, arrived_at=datetime.now(UTC))
        self.rooms.permission.demand(who.caller, action, now)

    def may(self, action: str) -> bool:
        """Whether the visitor may do this: what they may not is not offered."""
        return self.rooms.permission.allows(self.who.caller, action, self.circumstances)

    def call(self, action: str, parameters: Mapping[str, str]) -> ApiAnswer:
        """What the API answers the visitor, an error, too: with their permissions and their account's limits."""
        return self.rooms.actions.answer(
            action,
            parameters,
            caller=self.who.caller,
            circumstances=self.circumstances,
            host=urlsplit(self.rooms.public_url()).netloc,
        )

    def media(self, url: str) -> str:
        """A signed URL that the page shows a picture or a video from; the browser is told to allow it."""
        self.media_origins.add(_origin(url))
        return url

    def fetched(self, url: str) -> str:
        """A URL that a script of the page fetches from; the browser is told to allow it."""
        self.fetched_origins.add(_origin(url))
        return url

    def show(self, template: str, *, part: str | None = None, status: int = 200, **values: Any) -> Response:
        """A page; or its `part` alone, a template that the page includes, when that is what htmx asks for."""
        name = part if self.is_part and part is not None else template
        text = self.templating.render(name, self.root, visit=self, **values)
        return Response(text, status, page_headers(self.media_origins, self.fetched_origins), "text/html")

    def plain(self, text: str | None) -> Response:
        """A line of text for a script; None: there is nothing to say (204)."""
        return Response(text, 200 if text is not None else 204, page_headers(), "text/plain")

    def go(self, path: str, *, done: str | None = None, failed: str | None = None) -> Response:
        """To another page, which begins with what was `done`, or `failed`."""
        target = self.root + path
        if self.is_part:
            response = Response(status_code=204, headers=page_headers() | {"HX-Redirect": target})
        else:
            response = RedirectResponse(target, 303, page_headers())
        if text := done or failed:
            kind = "done" if done else "failed"
            self.templating.keep_flash(response, self.root, kind, text)
        return response


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
