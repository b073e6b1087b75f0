"""Whether a connection stays with one session of PostgreSQL, or a pooler changes that beneath it.

A transaction pooler (PgBouncer with pool_mode=transaction, and what clouds offer under that name) gives each
transaction another session: what belongs to a session, LISTEN, prepared statements and its advisory locks, is lost.
"""

from __future__ import annotations

import secrets

import psycopg
from sqlalchemy import URL

from stillframe.database.engine import psycopg_dsn

#: on one machine it takes a millisecond
_DEADLINE_S = 2.0


def keeps_sessions(url: URL) -> bool:
    """Listen on one connection and notify on another, as the queue does. Raises psycopg.Error."""
    channel = f"stillframe_doctor_{secrets.token_hex(8)}"
    with (
        psycopg.connect(psycopg_dsn(url), autocommit=True) as listening,
        psycopg.connect(psycopg_dsn(url), autocommit=True) as notifying,
    ):
        listening.execute(f"LISTEN {channel}")
        notifying.execute(f"NOTIFY {channel}")
        return any(True for _ in listening.notifies(timeout=_DEADLINE_S, stop_after=1))
