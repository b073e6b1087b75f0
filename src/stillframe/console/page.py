"""What a page is: its path, what somebody must be allowed to do for it, and the few lines that show it.

PAGES = (
    Page("/jobs", list_jobs, ("ListSnapshotJobs",), title="Jobs"),
    Page("/jobs/{job_id}/cancel", cancel, ("CancelSnapshotJob",), method="POST"),
    Stream("/jobs/events", watch_list, ("ListSnapshotJobs",)),
    Intake("/buckets/{bucket}/object", receive, ("CreateUploadMedia",)),
)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from stillframe.console.shares import Share
from stillframe.console.visit import Visit


@dataclass(frozen=True, slots=True)
class Page:
    """A page, or what a form of one is sent to.

    `path` is below /console. `handler` runs in a thread. Of `actions` (as IMS calls them) each must be allowed, or
    the visitor is told which is not. What IMS has no action for is `of_account`: for the account itself, and for
    none of its users. A page with a `title` stands in the navigation, in the registry's order. One that `waits` asks a
    store, which may take its time: it holds up only pages that do so, too. What is sent to a page counts as a request
    for its actions; one that `calls_api` leaves that to the call.
    """

    path: str
    handler: Callable[[Visit], Response]
    actions: tuple[str, ...]
    method: Literal["GET", "POST"] = "GET"
    title: str | None = None
    waits: bool = False
    of_account: bool = False
    calls_api: bool = False

    def is_for(self, visit: Visit) -> bool:
        """Whether it is to be offered."""
        is_open = visit.is_account or not self.of_account
        return is_open and all(visit.may(action) for action in self.actions)


@dataclass(frozen=True, slots=True)
class Watched:
    """Something that a page shows and that changes.

    `look` gives what it is now, to be compared with what it was, in a thread; those with the same `key` share it.
    """

    key: Hashable
    look: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Stream:
    """Server-sent events that say `changed` whenever what a page shows has changed; the page then asks for it."""

    path: str
    watch: Callable[[Visit], Watched]
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Intake:
    """What a file is sent to (PUT), as it is and however large: its `handler` reads it piece by piece.

    The token of the page's forms comes in the header X-CSRF-Token. The handler runs on the loop; what blocks, it gives
    to the threads of the account's share.
    """

    path: str
    handler: Callable[[Visit, Request, Share], Awaitable[Response]]
    actions: tuple[str, ...]
    method: Literal["PUT"] = "PUT"
