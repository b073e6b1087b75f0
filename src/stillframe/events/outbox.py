"""The outbox: events that have happened and are still to be told.

An event is written in the transaction that makes it true, so it exists if and only if that commits. Whoever delivers
one has a lease on it: what a server that died had in hand is due again when that ends, and an event is settled only
when its receiver has answered, or when all tries have failed. So each comes at least once, and some come twice. What is
settled leaves the outbox for the table that `history` reads.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import event as happening
from sqlalchemy.orm import Session

from stillframe.database.engine import Database, driver_connection
from stillframe.events.callbacks import ALL
from stillframe.events.tries import Try

#: longer than a try takes
LEASE_S = 10.0
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

#: the lock keeps the callback until the event that points to it is there
_WANTED = "SELECT FROM event_callbacks WHERE account_id = %s AND event_types && %s FOR KEY SHARE"
_WRITE = "INSERT INTO events (event_id, account_id, type, body, failures) VALUES (%s, %s, %s, %s, 0)"
#: of each account as many as it has room for, the accounts in any order: none is always the last
_CLAIM = """
WITH picked AS (
    SELECT event.event_id, event.leased
    FROM (
        SELECT account_id FROM event_callbacks WHERE EXISTS (SELECT FROM events) ORDER BY random()
    ) AS callback
    LEFT JOIN unnest(%(accounts)s::text[], %(numbers)s::int[]) AS busy (account_id, number)
        ON busy.account_id = callback.account_id
    CROSS JOIN LATERAL (
        SELECT event_id, leased FROM events
        WHERE events.account_id = callback.account_id AND due_at <= clock_timestamp()
        ORDER BY due_at LIMIT greatest(%(each)s - coalesce(busy.number, 0), 0) FOR UPDATE SKIP LOCKED
    ) AS event
    LIMIT %(most)s
)
UPDATE events SET due_at = clock_timestamp() + make_interval(secs => %(lease_s)s), leased = true
FROM picked WHERE events.event_id = picked.event_id
RETURNING events.event_id, account_id, type, body, failures, due_at, picked.leased
"""
_PUT_OFF = (
    "UPDATE events SET failures = failures + 1, tries = tries || %s, "
    "due_at = clock_timestamp() + make_interval(secs => %s), leased = false WHERE event_id = %s AND due_at = %s"
)
#: `lease_end` is not given where it does not matter whose it is by now
_SETTLE = """
WITH gone AS (
    DELETE FROM events
    WHERE event_id = %(event_id)s AND due_at = coalesce(%(lease_end)s, due_at)
    RETURNING event_id, account_id, type, body, failures, tries, happened_at
)
INSERT INTO settled_events (event_id, account_id, type, body, is_delivered, failures, tries, happened_at)
SELECT event_id, account_id, type, body, %(is_delivered)s, failures + %(failures)s, tries || %(tried)s, happened_at
FROM gone
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event to be delivered now, by nobody else until `lease_end`; `failures` tries have failed before.

    It `was_left` when whoever had it before has not settled it until the end of his lease: he died, most often.
    """

    event_id: str
    account_id: str
    type: str
    body: str = field(repr=False)
    failures: int
    lease_end: datetime
    was_left: bool = False


class Outbox:
    """Writes, claims and settles events. `on_written` is called after each commit that brings events."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.on_written: Callable[[], None] = lambda: None

    def write(
        self,
        session: Session,
        account_id: str,
        type: str,
        message: Callable[[], Mapping[str, Any]],
        at: datetime,
    ) -> None:
        """An event of an account, as a part of the session's transaction; nothing where nobody wants to hear of it."""
        connection = driver_connection(session)
        if connection.execute(_WANTED, [account_id, [ALL, type]]).rowcount == 0:
            return
        envelope = {
            "EventType": type,
            "UserId": int(account_id),
            "EventTime": at.astimezone(UTC).strftime(_TIME_FORMAT),
            "MessageBody": message(),
        }
        body = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
        connection.execute(_WRITE, [secrets.token_hex(16), account_id, type, body])
        happening.listen(session, "after_commit", lambda _: self.on_written(), once=True)

    def claim(self, busy: Mapping[str, int], *, each: int, most: int) -> list[Claimed]:
        """Events that are due, for this process alone until their lease ends.

        At most `each` of one account, less those that are in hand already (`busy`), and `most` in all.
        """
        values = {
            "accounts": [*busy.keys()],
            "numbers": [*busy.values()],
            "each": each,
            "most": most,
            "lease_s": LEASE_S,
        }
        with self._database.statements() as connection:
            return [Claimed(*row) for row in connection.execute(_CLAIM, values)]

    def delivered(self, event: Claimed, tried: Try) -> None:
        """Its receiver has it: whoever else may be at it."""
        self._settle(event, tried, is_delivered=True, lease_end=None)

    def put_off(self, event: Claimed, tried: Try, pause_s: float) -> None:
        """A try has failed, and the next one may come after so long."""
        with self._database.statements() as connection:
            values = [Jsonb(tried.as_json()), pause_s, event.event_id, event.lease_end]
            connection.execute(_PUT_OFF, values)

    def give_up(self, event: Claimed, tried: Try) -> bool:
        """The last try has failed; False when it is another's by now, or done."""
        return self._settle(event, tried, is_delivered=False, lease_end=event.lease_end)

    def _settle(self, event: Claimed, tried: Try, *, is_delivered: bool, lease_end: datetime | None) -> bool:
        values = {
            "event_id": event.event_id,
            "lease_end": lease_end,
            "is_delivered": is_delivered,
            "failures": 0 if is_delivered else 1,
            "tried": Jsonb(tried.as_json()),
        }
        with self._database.statements() as connection:
            return connection.execute(_SETTLE, values).rowcount == 1

    def waiting(self) -> int:
        """How many events are not delivered yet."""
        with self._database.statements() as connection:
            row = connection.execute("SELECT count(*) FROM events").fetchone()
        return int(row[0]) if row is not None else 0
