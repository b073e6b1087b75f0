"""The check by RAM policies that every action goes through, and what somebody hears who may not.

Endpoint(..., authorize=RamCheck(Authorizer(database), "cn-shanghai"))
"""

from __future__ import annotations

import base64
import json

from stillframe.accounts.authorization import Authorizer
from stillframe.accounts.policies import AccessRequest, Decision
from stillframe.accounts.signatures import Principal
from stillframe.ims.action import Action, Context
from stillframe.ims.errors import ApiError


class RamCheck:
    """Raises ApiError (NoPermission) unless the caller's policies allow the action. `region` is the service's."""

    def __init__(self, authorizer: Authorizer, region: str) -> None:
        self._authorizer = authorizer
        self._region = region

    def __call__(self, context: Context, action: Action) -> None:
        if context.caller.principal.is_account:
            return
        request = AccessRequest(
            action.permission, self._region, context.caller.account_id, _condition_keys(context)
        )
        decision = self._authorizer.decide(context.caller, request)
        if not decision.is_allowed:
            raise ApiError(
                "NoPermission",
                details={"AccessDeniedDetail": _detail(context, request, decision)},
                flaw=_told(context.caller.principal, request, decision),
            )


def _condition_keys(context: Context) -> dict[str, str]:
    keys = {
        "acs:CurrentTime": f"{context.arrived_at:%Y-%m-%dT%H:%M:%SZ}",
        "acs:MFAPresent": "false",
        "acs:SecureTransport": str(context.is_secure).lower(),
    }
    if context.source_ip is not None:
        keys["acs:SourceIp"] = context.source_ip
    return keys


def _detail(context: Context, request: AccessRequest, decision: Decision) -> dict[str, str | None]:
    principal = context.caller.principal
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
