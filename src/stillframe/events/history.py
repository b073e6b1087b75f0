"""What became of events: those that wait, and those that were delivered or given up, as long as these are kept.

history = EventHistory(database, outbox)
history.page(account_id, "failed", size=25)
history.send_again(account_id, event_id)
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import text
from sqlalchemy.orm import Session

from stillframe.database.engine import Database
from stillframe.errors import NotFound
from stillframe.events.outbox import Outbox
from stillframe.events.tries import Try, read_try

EventState = Literal["waiting", "delivered", "failed"]
#: events that are sent again by one call
MOST_AGAIN = 1000
#: tries that are remembered of an event that is sent again
TRIES_KEPT = 12
#: no more are counted
COUNTED = 10_000
_DAY_S = 86_400
_LAST = (datetime(9999, 1, 1, tzinfo=UTC), "")

_COLUMNS = "event_id, type, body, failures, tries, happened_at"
_WAITING = (
    f"SELECT {_COLUMNS}, 'waiting' AS state, due_at, leased, NULL::timestamptz AS settled_at FROM events"
)
_SETTLED = (
    f"SELECT {_COLUMNS}, CASE WHEN is_delivered THEN 'delivered' ELSE 'failed' END AS state, "
    "NULL::timestamptz AS due_at, false AS leased, settled_at FROM settled_events"
)
_OF = {
    "waiting": (_WAITING, ""),
    "delivered": (_SETTLED, " AND is_delivered"),
    "failed": (_SETTLED, " AND NOT is_delivered"),
}
_BEFORE = "WHERE account_id = %(account_id)s AND (happened_at, event_id) < (%(at)s, %(event_id)s)"
_NEWEST = "ORDER BY happened_at DESC, event_id DESC LIMIT %(most)s"
_ONE = "WHERE account_id = %s AND event_id = %s"
_COUNT = (
    "SELECT (SELECT count(*) FROM (SELECT FROM events WHERE account_id = %(id)s LIMIT %(most)s) AS waiting), "
    "(SELECT count(*) FROM (SELECT FROM settled_events "
    "WHERE account_id = %(id)s AND NOT is_delivered LIMIT %(most)s) AS failed)"
)
#: the lock keeps the callback until the events that point to it are there
_CALLBACK = "SELECT FROM event_callbacks WHERE account_id = :account_id FOR KEY SHARE"
_AGAIN = f"""
gone AS (
    DELETE FROM settled_events WHERE event_id = ANY(ARRAY(SELECT event_id FROM those)) RETURNING *
)
INSERT INTO events (event_id, account_id, type, body, failures, tries, happened_at)
SELECT event_id, account_id, type, body, 0,
    jsonb_path_query_array(tries, '$[last - {TRIES_KEPT - 1} to last]'), happened_at
FROM gone
RETURNING event_id
"""
_THAT = (
    "WITH those AS MATERIALIZED (SELECT event_id FROM settled_events "
    "WHERE account_id = :account_id AND event_id = :event_id FOR UPDATE), "
)
_FAILED = (
    "WITH those AS MATERIALIZED (SELECT event_id FROM settled_events "
    "WHERE account_id = :account_id AND NOT is_delivered "
    "ORDER BY happened_at, event_id LIMIT :most FOR UPDATE SKIP LOCKED), "
)
_NOW = (
    "UPDATE events SET due_at = clock_timestamp() "
    "WHERE account_id = :account_id AND event_id = :event_id AND NOT leased"
)


@dataclass(frozen=True, slots=True)
class EventView:
    """An event as its account sees it. `failures` are those tries of the present round that have failed.

    One that waits has its `next_try_at` when a try has failed, unless it `is_on_its_way`; one that does not wait has
    `settled_at`.
    """

    event_id: str
    type: str
    #: the message as it is sent
    body: str
    failures: int
    tries: Sequence[Try]
    happened_at: datetime
    state: EventState
    next_try_at: datetime | None
    is_on_its_way: bool
    settled_at: datetime | None

    @property
    def envelope(self) -> Mapping[str, Any]:
        """All that is sent."""
        read: Mapping[str, Any] = json.loads(self.body)
        return read

    @property
    def message(self) -> Mapping[str, Any]:
        """What is said of the thing that it has happened to."""
        read: Mapping[str, Any] = self.envelope["MessageBody"]
        return read

    @property
    def reason(self) -> str | None:
        """Why the last try has failed; None where it has not."""
        return self.tries[-1].reason if self.tries else None


class EventHistory:
    """The events of all accounts. `outbox` hears of those that are to be sent again."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    def page(
        self,
        account_id: str,
        state: EventState | None = None,
        before: tuple[datetime, str] | None = None,
        *,
        size: int,
    ) -> list[EventView]:
        """An account's events, the newest first; those before a place, which is when one happened and its id."""
        states = [state] if state is not None else get_args(EventState)
        parts = [f"({query} {_BEFORE}{more} {_NEWEST})" for query, more in (_OF[one] for one in states)]
        at, event_id = before or _LAST
        values = {"account_id": account_id, "at": at, "event_id": event_id, "most": size}
        with self._database.statements() as connection:
            found = connection.execute(
                f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS event {_NEWEST}", values
            )
            return [_view(row) for row in found]

    def get(self, account_id: str, event_id: str) -> EventView:
        """One event. Raises NotFound."""
        with self._database.statements() as connection:
            for query in (_WAITING, _SETTLED, _WAITING):
                # it may have gone from one table to the other in between
                if (
                    row := connection.execute(f"{query} {_ONE}", [account_id, event_id]).fetchone()
                ) is not None:
                    return _view(row)
        raise NotFound("Event", event_id)

    def count(self, account_id: str) -> tuple[int, int]:
        """How many wait, and how many were given up; of each no more than `COUNTED`."""
        with self._database.statements() as connection:
            row = connection.execute(_COUNT, {"id": account_id, "most": COUNTED}).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    def send_again(self, account_id: str, event_id: str) -> None:
        """Let an event go out once more, whatever became of it, and one that waits at once. Raises NotFound.

        It is the same to its receiver: it has the same id. All tries begin anew, those before stay with it.
        """
        values = {"account_id": account_id, "event_id": event_id}
        with self._database.transaction() as session:
            _demand_callback(session, account_id)
            session.execute(text(_NOW), values)
            session.execute(text(_THAT + _AGAIN), values)
        self.get(account_id, event_id)
        self._outbox.on_written()

    def send_failed_again(self, account_id: str) -> int:
        """The same for the oldest of those that were given up, `MOST_AGAIN` at the most; how many. Raises NotFound."""
        with self._database.transaction() as session:
            _demand_callback(session, account_id)
            values = {"account_id": account_id, "most": MOST_AGAIN}
            number = len(session.execute(text(_FAILED + _AGAIN), values).all())
        self._outbox.on_written()
        return number


class SettledEvents:
    """A chore of retention: events that were settled more than `days` ago."""

    _REMOVE = text(
        "WITH old AS MATERIALIZED (SELECT event_id FROM settled_events "
        "WHERE settled_at < now() - make_interval(secs => :age_s) "
        "ORDER BY settled_at LIMIT :most FOR UPDATE SKIP LOCKED) "
        "DELETE FROM settled_events WHERE event_id = ANY(ARRAY(SELECT event_id FROM old)) RETURNING event_id"
    )

    def __init__(self, *, days: float) -> None:
        self._age_s = days * _DAY_S

    def __call__(self, session: Session, most: int) -> tuple[int, bool]:
        """The oldest of them."""
        gone = len(session.execute(self._REMOVE, {"age_s": self._age_s, "most": most}).all())
        return gone, gone == most


def _demand_callback(session: Session, account_id: str) -> None:
    if session.execute(text(_CALLBACK), {"account_id": account_id}).first() is None:
        raise NotFound("Callback", account_id)


def _view(row: Sequence[Any]) -> EventView:
    event_id, type, body, failures, tries, happened_at, state, due_at, is_leased, settled_at = row
    return EventView(
        event_id,
        type,
        body,
        failures,
        tuple(map(read_try, tries)),
        happened_at,
        state,
        due_at if failures and not is_leased else None,
        is_leased,
        settled_at,
    )
