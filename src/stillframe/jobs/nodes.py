"""The processes that share a database: each says every few seconds that it lives, and all can see who is there.

node = Node(database, serves=False, slots=4)
node.appear()
node.beat()        # every few seconds
node.leave()
"""

from __future__ import annotations

import os
import secrets
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from stillframe import __version__
from stillframe.database.engine import Database
from stillframe.jobs.models import NodeRow

#: not heard of for so long, a process is taken for dead
DEAD_AFTER_S = 30


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One process, as the others see it."""

    node_id: str
    serves: bool
    slots: int
    #: ids of the pipelines that it works on; None is all
    pipelines: tuple[str, ...] | None
    host: str
    pid: int
    version: str
    started_at: datetime
    seen_at: datetime
    is_alive: bool

    @property
    def role(self) -> str:
        """What it does: `server`, `worker`, or both in one."""
        return " and ".join(["server"] * self.serves + ["worker"] * (self.slots > 0))


class Node:
    """This process among those that share its database."""

    def __init__(
        self, database: Database, *, serves: bool, slots: int, pipelines: Sequence[str] | None = None
    ) -> None:
        self.node_id = secrets.token_hex(16)
        self._database = database
        self._values = {
            "node_id": self.node_id,
            "serves": serves,
            "slots": slots,
            "pipelines": [*pipelines] if pipelines is not None else None,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": __version__,
        }

    def appear(self) -> None:
        """Say that it is there."""
        with self._database.transaction() as session:
            session.execute(insert(NodeRow).values(self._values).on_conflict_do_nothing())

    def beat(self) -> Mapping[str, int]:
        """Say that it still lives: how many do, by their roles."""
        with self._database.transaction() as session:
            # what a crash loses is said again in a moment: no disk is waited for
            session.execute(text("SET LOCAL synchronous_commit TO off"))
            now = func.clock_timestamp()
            found = session.execute(
                update(NodeRow)
                .where(NodeRow.node_id == self.node_id)
                .values(seen_at=now)
                .returning(NodeRow.pid)
            )
            if found.first() is None:
                session.execute(insert(NodeRow).values(self._values).on_conflict_do_nothing())
            return Counter(node.role for node in nodes(session) if node.is_alive)

    def leave(self) -> None:
        """Say that it ends."""
        with self._database.transaction() as session:
            session.execute(delete(NodeRow).where(NodeRow.node_id == self.node_id))


_FOR_LIFE = func.make_interval(0, 0, 0, 0, 0, 0, DEAD_AFTER_S)
#: by a clock that was ahead, and was put right, nobody lives for ever
_IS_ALIVE = NodeRow.seen_at.between(func.clock_timestamp() - _FOR_LIFE, func.clock_timestamp() + _FOR_LIFE)
#: how many slices of the pipeline %(queue)s all living workers can have in work at the same time, as SQL
SLOTS_FOR = (
    "SELECT coalesce(sum(slots), 0)::int FROM nodes WHERE (pipelines IS NULL OR %(queue)s = ANY(pipelines)) "
    f"AND seen_at BETWEEN clock_timestamp() - interval '{DEAD_AFTER_S} s' "
    f"AND clock_timestamp() + interval '{DEAD_AFTER_S} s'"
)


def living_servers(session: Session) -> int:
    """How many servers are there."""
    living = select(func.count()).select_from(NodeRow).where(_IS_ALIVE, NodeRow.serves)
    return session.scalar(living) or 0


def forget_dead(session: Session, age_s: float, most: int) -> int:
    """Remove processes, at most so many, that were not heard of for so long; how many these were."""
    forgotten = func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, age_s)
    dead = select(NodeRow.node_id).where(NodeRow.seen_at < forgotten).limit(most)
    gone = session.execute(
        delete(NodeRow)
        .where(NodeRow.node_id.in_(dead.with_for_update(skip_locked=True)))
        .returning(NodeRow.node_id)
    )
    return len(gone.all())


def nodes(session: Session) -> list[NodeFacts]:
    """All processes that were heard of lately, the oldest first."""
    found = session.execute(select(NodeRow, _IS_ALIVE).order_by(NodeRow.started_at, NodeRow.node_id))
    return [
        NodeFacts(
            row.node_id,
            row.serves,
            row.slots,
            tuple(row.pipelines) if row.pipelines is not None else None,
            row.host,
            row.pid,
            row.version,
            row.started_at,
            row.seen_at,
            bool(is_alive),
        )
        for row, is_alive in found
    ]
