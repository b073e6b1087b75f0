"""The time that jobs tell: the database's, since the clocks of the servers and workers on it may differ."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def now(session: Session) -> datetime:
    """It, at this moment of the transaction."""
    told: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return told
