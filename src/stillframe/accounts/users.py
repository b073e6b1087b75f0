"""Users of an account, and which policies are attached to each.

    users = Users(database)
    users.create(account_id, "alice")
    users.attach(account_id, "alice", "AliyunICEReadOnlyAccess")

What is changed counts for the very next request.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from stillframe.accounts.accounts import change_policies
from stillframe.accounts.models import Account, AttachedPolicy, PolicyRow, User
from stillframe.accounts.names import demand_name, new_number
from stillframe.accounts.policies import MANAGED
from stillframe.accounts.signatures import Principal
from stillframe.database.engine import Database
from stillframe.errors import ConfigError, NotFound


@dataclass(frozen=True, slots=True)
class UserView:
    """A user as the operator sees them."""

    user_id: str
    name: str
    policies: tuple[str, ...]
    created_at: datetime


class Users:
    """The users of all accounts. Within an account they go by their names."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, account_id: str, name: str) -> str:
        """A new user, who may do nothing yet; the id. Raises ConfigError."""
        demand_name("User", name)
        user_id = new_number(18)
        try:
            with self._database.transaction() as session:
                session.add(User(user_id=user_id, account_id=account_id, name=name))
        except IntegrityError as error:
            raise ConfigError("User", name, "a name that no other user of the account has") from error
        return user_id

    def id_of(self, account_id: str, name: str) -> str:
        """The id of the user of a name. Raises NotFound."""
        with self._database.transaction() as session:
            return _id_of(session, account_id, name)

    def all(self, account_id: str) -> list[UserView]:
        """The users of an account, by name."""
        return self._found(User.account_id == account_id)

    def get(self, account_id: str, name: str) -> UserView:
        """One of them. Raises NotFound."""
        found = self._found(User.account_id == account_id, User.name == name)
        if not found:
            raise NotFound("User", name)
        return found[0]

    def principal(self, account_id: str, name: str) -> Principal:
        """Who their keys stand for now. Raises NotFound."""
        version = select(Account.policies_version).where(Account.account_id == account_id)
        with self._database.transaction() as session:
            user_id = _id_of(session, account_id, name)
            return Principal(user_id, name, policies_version=session.scalar(version) or 0)

    def delete(self, account_id: str, name: str) -> None:
        """Remove a user, and with them their keys and tokens. Raises NotFound."""
        with self._database.transaction() as session:
            session.execute(delete(User).where(User.user_id == _id_of(session, account_id, name)))

    def attach(self, account_id: str, name: str, policy: str) -> None:
        """Let a policy count for a user; it may do so already. Raises NotFound."""
        with self._database.transaction() as session:
            change_policies(session, account_id)
            if policy not in MANAGED and session.get(PolicyRow, (account_id, policy)) is None:
                raise NotFound("Policy", policy)
            user_id = _id_of(session, account_id, name)
            attached = insert(AttachedPolicy).values(user_id=user_id, policy_name=policy)
            session.execute(attached.on_conflict_do_nothing())

    def detach(self, account_id: str, name: str, policy: str) -> None:
        """Let a policy count for a user no more. Raises NotFound."""
        with self._database.transaction() as session:
            change_policies(session, account_id)
            gone = delete(AttachedPolicy).where(
                AttachedPolicy.user_id == _id_of(session, account_id, name),
                AttachedPolicy.policy_name == policy,
            )
            if session.scalar(gone.returning(AttachedPolicy.policy_name)) is None:
                raise NotFound("Policy", policy)

    def _found(self, *those: ColumnElement[bool]) -> list[UserView]:
        named = func.array_remove(
            func.array_agg(aggregate_order_by(AttachedPolicy.policy_name, AttachedPolicy.policy_name)), None
        )
        found = (
            select(User, named)
            .outerjoin(AttachedPolicy, AttachedPolicy.user_id == User.user_id)
            .where(*those)
            .group_by(User.user_id)
            .order_by(User.name)
        )
        with self._database.transaction() as session:
            return [
                UserView(user.user_id, user.name, tuple(policies), user.created_at)
                for user, policies in session.execute(found)
            ]


def _id_of(session: Session, account_id: str, name: str) -> str:
    user_id = session.scalar(select(User.user_id).where(User.account_id == account_id, User.name == name))
    if user_id is None:
        raise NotFound("User", name)
    return user_id
