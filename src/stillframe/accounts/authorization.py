"""Whether a caller may do what a request asks for.

authorizer = Authorizer(database)
authorizer.decide(caller, request).is_allowed
"""

from __future__ import annotations

from functools import lru_cache

from stillframe.accounts.policies import (
    MANAGED,
    AccessRequest,
    Decision,
    Policy,
    Spoken,
    evaluate,
    parse_policy,
)
from stillframe.accounts.signatures import Caller, Principal
from stillframe.database.engine import Database

_KEPT = 1024
_ATTACHED = (
    "SELECT t.policy_name, p.document FROM attached_policies t JOIN users u ON u.user_id = t.user_id "
    "LEFT JOIN policies p ON p.account_id = u.account_id AND p.name = t.policy_name "
    "WHERE t.user_id = %s ORDER BY t.policy_name"
)


class Authorizer:
    """Decides by the policies that are attached now.

    A user's policies are read once for each of their versions. The version came with the caller's key, so what is read
    here is that state or a newer one, never an older.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._attached = lru_cache(_KEPT)(self._read_attached)
        self._parsed = lru_cache(_KEPT)(parse_policy)

    def decide(self, caller: Caller, request: AccessRequest) -> Decision:
        """Allowed, or why not. For an account's own key nothing is read."""
        principal = caller.principal
        if principal.is_account:
            return Decision()
        document = principal.session_policy
        session = self._parsed(document, "session") if document is not None else None
        identity = None
        if principal.user_id is not None:
            identity = self._attached(principal.user_id, principal.policies_version)
        elif session is None:
            # a role is nothing but what its session allows
            identity = ()
        return evaluate(request, identity, session)

    def speaking(self, user: Principal, request: AccessRequest) -> list[Spoken]:
        """Each statement of a user's policies that says something of a request."""
        policies = self._attached(user.user_id, user.policies_version)
        return [spoken for policy in policies for spoken in policy.speaking(request)]

    def _read_attached(self, user_id: str, version: int) -> tuple[Policy, ...]:
        with self._database.statements() as connection:
            rows = connection.execute(_ATTACHED, [user_id]).fetchall()
        return tuple(self._parsed(document or MANAGED[name], name) for name, document in rows)
