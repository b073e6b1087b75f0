"""The check by RAM policies that everything goes through, whichever face asks, and what somebody hears who may not.

permission = Permission(Authorizer(database), "cn-shanghai")
permission.demand(caller, "GetSnapshotJob", Circumstances(now, "127.0.0.1", is_secure=False))
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime

from stillframe.accounts.authorization import Authorizer
from stillframe.accounts.policies import AccessRequest, Decision, Spoken
from stillframe.accounts.signatures import Caller, Principal
from stillframe.service.errors import ApiError


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What policies may ask of a request besides who sent it. `is_secure`: it came by https."""

    arrived_at: datetime
    source_ip: str | None
    is_secure: bool


class Permission:
    """Who may do what. `region` is the service's; actions go by the names that IMS has for them."""

    def __init__(self, authorizer: Authorizer, region: str) -> None:
        self._authorizer = authorizer
        self._region = region

    def demand(self, caller: Caller, action: str, circumstances: Circumstances) -> None:
        """Raises ApiError (NoPermission) unless the caller's policies allow the action."""
        if caller.principal.is_account:
            return
        request, decision = self._decide(caller, action, circumstances)
        if not decision.is_allowed:
            raise ApiError(
                "NoPermission",
                details={"AccessDeniedDetail": _detail(caller.principal, request, decision)},
                flaw=_told(caller.principal, request, decision),
            )

    def allows(self, caller: Caller, action: str, circumstances: Circumstances) -> bool:
        """Whether `demand` would let it pass."""
        if caller.principal.is_account:
            return True
        return self._decide(caller, action, circumstances)[1].is_allowed

    def explain(
        self, account_id: str, user: Principal, action: str, circumstances: Circumstances
    ) -> tuple[Decision, list[Spoken]]:
        """Whether a user may do something, and each statement of their policies that speaks of it."""
        request, decision = self._decide(Caller(account_id, "", user), action, circumstances)
        return decision, self._authorizer.speaking(user, request)

    def _decide(
        self, caller: Caller, action: str, circumstances: Circumstances
    ) -> tuple[AccessRequest, Decision]:
        request = AccessRequest(
            f"ice:{action}", self._region, caller.account_id, _condition_keys(circumstances)
        )
        return request, self._authorizer.decide(caller, request)


def _condition_keys(circumstances: Circumstances) -> dict[str, str]:
    keys = {
        "acs:CurrentTime": f"{circumstances.arrived_at:%Y-%m-%dT%H:%M:%SZ}",
        "acs:MFAPresent": "false",
        "acs:SecureTransport": str(circumstances.is_secure).lower(),
    }
    if circumstances.source_ip is not None:
        keys["acs:SourceIp"] = circumstances.source_ip
    return keys


def _detail(principal: Principal, request: AccessRequest, decision: Decision) -> dict[str, str | None]:
    return {
        "AuthAction": request.action,
        "AuthPrincipalDisplayName": principal.role or principal.user_name,
        "AuthPrincipalOwnerId": request.account_id,
        "AuthPrincipalType": "AssumedRoleUser" if principal.role else "SubUser",
        "EncodedDiagnosticMessage": _evidence(request, decision),
        "NoPermissionType": decision.no_permission_type,
        "PolicyType": decision.policy_type,
    }


def _evidence(request: AccessRequest, decision: Decision) -> str:
    """What was decided upon, in base64: nothing in it that its reader may not know."""
    told = {
        "Action": request.action,
        "Resource": f"acs:ice:{request.region}:{request.account_id}:*",
        "Conditions": dict(request.context),
        "DeniedBy": decision.policy,
    }
    return base64.b64encode(json.dumps(told, separators=(",", ":")).encode()).decode()


def _told(principal: Principal, request: AccessRequest, decision: Decision) -> str:
    who = f"the role {principal.role}" if principal.role else f"the user {principal.user_name}"
    is_denied = decision.no_permission_type == "ExplicitDeny"
    way_out = ""
    if decision.policy_type == "SessionPolicy":
        says = f"The policy of this session of {who} {'denies' if is_denied else 'does not allow'}"
    else:
        says = f"The policy {decision.policy} of {who} denies" if is_denied else f"No policy of {who} allows"
        if not (is_denied or principal.role):
            way_out = (
                f" On the server, this lets one count: stillframe user attach {principal.user_name} POLICY."
            )
    return f"{says} {request.action}.{way_out}"
