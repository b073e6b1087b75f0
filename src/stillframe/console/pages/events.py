"""Events: what the account was told, is to be told and could not be told; each may be sent again."""

from __future__ import annotations

from typing import get_args
from urllib.parse import urlencode

from starlette.responses import Response

from stillframe.console.page import Page, Stream, Watched
from stillframe.console.visit import Visit
from stillframe.errors import NotFound
from stillframe.events.history import COUNTED, MOST_AGAIN, EventState, EventView
from stillframe.service.page_tokens import Place, place_of, token_of

EVENTS_ON_A_PAGE = 25
_STATES = (("", "Any"), ("delivered", "Delivered"), ("waiting", "Waiting"), ("failed", "Failed"))
_NO_CALLBACK = "There is nowhere to send it to: set a callback first."
#: messages tell of jobs and media assets: who reads them must be allowed to look at those
_READ = ("GetEventCallback", "GetSnapshotJob", "GetMediaInfo")
_SEND = ("SetEventCallback",)


def list_events(visit: Visit) -> Response:
    """The account's events, the newest first."""
    state, before = _wanted(visit)
    found = visit.rooms.event_history.page(visit.account_id, state, before, size=EVENTS_ON_A_PAGE + 1)
    events = found[:EVENTS_ON_A_PAGE]
    waiting, failed = visit.rooms.event_history.count(visit.account_id)
    chosen = {"state": state} if state else {}
    last = (events[-1].happened_at, events[-1].event_id) if len(found) > EVENTS_ON_A_PAGE else None
    return visit.show(
        "events/list.html",
        part="events/_rows.html",
        events=events,
        callback=visit.services.event_callbacks.get(visit.account_id),
        state=state or "",
        states=_STATES,
        waiting=waiting,
        failed=failed,
        counted=COUNTED,
        again=min(failed, MOST_AGAIN),
        here=f"?{urlencode(dict(visit.query))}",
        first=f"?{urlencode(chosen)}" if before is not None else None,
        next=f"?{urlencode({**chosen, 'page': token_of(visit.account_id, last)})}" if last else None,
    )


def watch_list(visit: Visit) -> Watched:
    """The list, as far as it is shown."""
    history, account_id = visit.rooms.event_history, visit.account_id
    state, before = _wanted(visit)

    def look() -> object:
        events = history.page(account_id, state, before, size=EVENTS_ON_A_PAGE)
        return [_state_of(event) for event in events], history.count(account_id)

    return Watched(("events", account_id, state, before), look)


def show_event(visit: Visit) -> Response:
    """One event, with its message and its tries."""
    event = visit.rooms.event_history.get(visit.account_id, visit.path["event_id"])
    return visit.show("events/event.html", part="events/_event.html", event=event)


def watch_event(visit: Visit) -> Watched:
    """All that the event's page shows."""
    history, account_id, event_id = visit.rooms.event_history, visit.account_id, visit.path["event_id"]
    return Watched(("event", account_id, event_id), lambda: _state_of(history.get(account_id, event_id)))


def send_again(visit: Visit) -> Response:
    """Let one event go out once more."""
    event_id = visit.path["event_id"]
    try:
        visit.rooms.event_history.send_again(visit.account_id, event_id)
    except NotFound as error:
        if error.kind != "Callback":
            raise
        return visit.go(f"/events/{event_id}", failed=_NO_CALLBACK)
    return visit.go(f"/events/{event_id}", done="The event is sent again.")


def send_failed_again(visit: Visit) -> Response:
    """The same for all that were given up, so many at a time."""
    try:
        number = visit.rooms.event_history.send_failed_again(visit.account_id)
    except NotFound:
        return visit.go("/events?state=failed", failed=_NO_CALLBACK)
    what = "1 event is" if number == 1 else f"{number} events are"
    return visit.go("/events", done=f"{what} sent again.")


PAGES = (
    Page("/events", list_events, _READ, title="Events"),
    Stream("/events/changes", watch_list, _READ),
    Page("/events/again", send_failed_again, _SEND, method="POST"),
    Page("/events/{event_id}", show_event, _READ),
    Stream("/events/{event_id}/changes", watch_event, _READ),
    Page("/events/{event_id}/again", send_again, _SEND, method="POST"),
)


def _wanted(visit: Visit) -> tuple[EventState | None, Place | None]:
    """Which events, and before which place. Raises ConfigError for a page that there is not."""
    state = next((known for known in get_args(EventState) if known == visit.query.get("state")), None)
    token = visit.query.get("page")
    return state, place_of(token, visit.account_id, "page") if token else None


def _state_of(event: EventView) -> object:
    return event.event_id, event.state, len(event.tries), event.next_try_at, event.settled_at
