"""The policies of accounts: those of their own, and the managed ones that every account has.

    policies = Policies(database)
    policies.create(account_id, "OfficeOnly", document)

What is changed counts for the very next request.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stillframe.accounts.accounts import change_policies
from stillframe.accounts.models import AttachedPolicy, PolicyRow, User
from stillframe.accounts.names import demand_policy_name
from stillframe.accounts.policies import MANAGED, parse_policy
from stillframe.database.engine import Database
from stillframe.errors import ConfigError, NotFound


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy as the operator sees it; `users` is how many have it."""

    name: str
    is_managed: bool
    users: int


class Policies:
    """The policies of all accounts. Within an account they go by their names."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, account_id: str, name: str, document: str) -> None:
        """A new policy. Raises ConfigError for a name or a document that is not allowed."""
        demand_policy_name(name)
        parse_policy(document, name)
        with self._database.transaction() as session:
            change_policies(session, account_id)
            if name in MANAGED or session.get(PolicyRow, (account_id, name)) is not None:
                raise ConfigError("Policy", name, "a name that no other policy of the account has")
            session.add(PolicyRow(account_id=account_id, name=name, document=document))

    def update(self, account_id: str, name: str, document: str) -> None:
        """Another document for a policy. Raises ConfigError, NotFound."""
        parse_policy(document, name)
        with self._database.transaction() as session:
            change_policies(session, account_id)
            _own(session, account_id, name).document = document

    def delete(self, account_id: str, name: str) -> None:
        """Remove a policy that no user has. Raises ConfigError, NotFound."""
        with self._database.transaction() as session:
            change_policies(session, account_id)
            row = _own(session, account_id, name)
            having = (
                select(User.name)
                .join(AttachedPolicy, AttachedPolicy.user_id == User.user_id)
                .where(User.account_id == account_id, AttachedPolicy.policy_name == name)
            )
            users = session.scalars(having.order_by(User.name)).all()
            if users:
                raise ConfigError("Policy", name, f"detached first from: {', '.join(users)}")
            session.delete(row)

    def document(self, account_id: str, name: str) -> str:
        """A policy's document. Raises NotFound."""
        if name in MANAGED:
            return MANAGED[name]
        with self._database.transaction() as session:
            return _own(session, account_id, name).document

    def all(self, account_id: str) -> list[PolicyView]:
        """The managed policies, then the account's own, by name."""
        counts = (
            select(AttachedPolicy.policy_name, func.count())
            .join(User, User.user_id == AttachedPolicy.user_id)
            .where(User.account_id == account_id)
            .group_by(AttachedPolicy.policy_name)
        )
        own = select(PolicyRow.name).where(PolicyRow.account_id == account_id).order_by(PolicyRow.name)
        with self._database.transaction() as session:
            users = {name: int(number) for name, number in session.execute(counts)}
            names = [*MANAGED, *session.scalars(own)]
        return [PolicyView(name, name in MANAGED, users.get(name, 0)) for name in names]


def _own(session: Session, account_id: str, name: str) -> PolicyRow:
    if name in MANAGED:
        raise ConfigError("Policy", name, "a policy of the account's own: managed ones do not change")
    row = session.get(PolicyRow, (account_id, name))
    if row is None:
        raise NotFound("Policy", name)
    return row
