"""RAM policies: what a document says, and whether it allows an action. Nothing is read or asked here.

    policy = parse_policy('{"Version":"1","Statement":[{"Effect":"Allow","Action":"ice:Get*","Resource":"*"}]}')
    evaluate(request, [policy]).is_allowed

The rules are those of https://www.alibabacloud.com/help/en/ram/policy-structure-and-syntax: a Deny that applies
wins, else an Allow that applies is needed. docs/ram.md tells them to users.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from stillframe.accounts.policy_conditions import Condition, parse_conditions
from stillframe.accounts.wildcards import matches
from stillframe.errors import ConfigError

#: characters, as RAM has it for policies of one's own
LONGEST_DOCUMENT = 6144

Effect = Literal["Allow", "Deny"]
NoPermissionType = Literal["ExplicitDeny", "ImplicitDeny"]
PolicyType = Literal["AccountLevelIdentityBasedPolicy", "SessionPolicy"]


class _Missing:
    """The value of an element that is not there, as a message shows it."""

    def __repr__(self) -> str:
        return "missing"


_MISSING = _Missing()
_SERVICE = "ice"
_ACTION = re.compile(r"\*|[A-Za-z0-9*?_-]+:[A-Za-z0-9*?_-]+")
_RESOURCE = re.compile(r"acs:([^:\s]+):([^:\s]+):([^:\s]+):(\S+)")
_ACTION_FORM = 'an action such as "ice:GetSnapshotJob" or "ice:Get*", or a list of them'
_RESOURCE_FORM = '"*" or "acs:<service>:<region>:<account>:<id>" with * for any, or a list of them'
_ELEMENTS = ("Effect", "Action", "NotAction", "Resource", "Condition")


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """What somebody wants to do. `action` is spelt as in a policy, `context` has the condition keys that there are."""

    action: str
    region: str
    account_id: str
    context: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Statement:
    """A part of a policy. `all_but` says that `actions` are those that it does not speak of (NotAction)."""

    effect: Effect
    actions: tuple[str, ...]
    all_but: bool
    resources: tuple[tuple[str, str, str, str], ...]
    conditions: tuple[Condition, ...]

    def applies(self, request: AccessRequest) -> bool:
        """Whether it says something of this request."""
        action = request.action.lower()
        return (
            any(matches(pattern, action) for pattern in self.actions) is not self.all_but
            and any(_covers(pattern, request) for pattern in self.resources)
            and all(condition.holds(request.context) for condition in self.conditions)
        )


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a statement says of a request; `number` is its place in the policy, the first is 0."""

    policy: str
    number: int
    effect: Effect


@dataclass(frozen=True, slots=True)
class Policy:
    """A document that was understood; `name` is what its owner calls it."""

    name: str
    statements: tuple[Statement, ...]

    def effects(self, request: AccessRequest) -> set[Effect]:
        """What its statements say of a request."""
        return {spoken.effect for spoken in self.speaking(request)}

    def speaking(self, request: AccessRequest) -> list[Spoken]:
        """The statements that say something of a request."""
        return [
            Spoken(self.name, number, statement.effect)
            for number, statement in enumerate(self.statements)
            if statement.applies(request)
        ]


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed, or why not: a Deny, or no Allow, of which kind of policy; `policy` is the one with the Deny."""

    no_permission_type: NoPermissionType | None = None
    policy_type: PolicyType | None = None
    policy: str | None = None

    @property
    def is_allowed(self) -> bool:
        """Whether the request may go on."""
        return self.no_permission_type is None


def evaluate(
    request: AccessRequest, identity: Sequence[Policy] | None, session: Policy | None = None
) -> Decision:
    """Whether a request is allowed by the policies of who asks, and by that of the session as well.

    `identity` is None for who may do all that the account may; `session` is None where there is no session, or one
    without a policy of its own.
    """
    layers: list[tuple[PolicyType, Sequence[Policy]]] = []
    if session is not None:
        layers.append(("SessionPolicy", [session]))
    if identity is not None:
        layers.append(("AccountLevelIdentityBasedPolicy", identity))
    found = [
        (kind, [(policy.name, policy.effects(request)) for policy in policies]) for kind, policies in layers
    ]
    for kind, told in found:
        for name, effects in told:
            if "Deny" in effects:
                return Decision("ExplicitDeny", kind, name)
    for kind, told in found:
        if not any("Allow" in effects for _, effects in told):
            return Decision("ImplicitDeny", kind)
    return Decision()


def parse_policy(document: str, name: str = "") -> Policy:
    """A policy's document. Raises ConfigError that names the element, its value and what is allowed."""
    if len(document) > LONGEST_DOCUMENT:
        raise ConfigError(
            "Policy", f"{len(document)} characters long", f"{LONGEST_DOCUMENT} characters or less"
        )
    try:
        read = json.loads(document, object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError("Policy", document, f"a JSON object ({error})") from None
    if not isinstance(read, dict):
        raise ConfigError("Policy", read, "a JSON object")
    _demand_known(read, "", ("Version", "Statement"))
    if read.get("Version", _MISSING) != "1":
        raise ConfigError("Version", read.get("Version", _MISSING), 'the text "1"')
    statements = read.get("Statement", _MISSING)
    if not isinstance(statements, list) or not statements:
        raise ConfigError("Statement", statements, "a list of one statement or more")
    return Policy(
        name, tuple(_statement(one, f"Statement[{number}]") for number, one in enumerate(statements))
    )


def _statement(read: Any, path: str) -> Statement:
    if not isinstance(read, dict):
        raise ConfigError(path, read, "an object with Effect, Action or NotAction, and Resource")
    _demand_known(read, f"{path}.", _ELEMENTS)
    effect = read.get("Effect", _MISSING)
    if effect not in ("Allow", "Deny"):
        raise ConfigError(f"{path}.Effect", effect, '"Allow" or "Deny"')
    given = [element for element in ("Action", "NotAction") if element in read]
    if len(given) != 1:
        raise ConfigError(path, given, "given either Action or NotAction")
    actions = [
        _text(one, where, _ACTION, _ACTION_FORM).lower()
        for one, where in _several(read[given[0]], f"{path}.{given[0]}", _ACTION_FORM)
    ]
    resources = [
        _resource(*one)
        for one in _several(read.get("Resource", _MISSING), f"{path}.Resource", _RESOURCE_FORM)
    ]
    conditions = parse_conditions(read["Condition"], f"{path}.Condition") if "Condition" in read else ()
    return Statement(effect, tuple(actions), given[0] == "NotAction", tuple(resources), conditions)


def _resource(value: Any, path: str) -> tuple[str, str, str, str]:
    """Service, region, account and id, each a pattern."""
    if value == "*":
        return ("*", "*", "*", "*")
    found = _RESOURCE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ConfigError(path, value, _RESOURCE_FORM)
    return (found[1], found[2], found[3], found[4])


def _covers(resource: tuple[str, str, str, str], request: AccessRequest) -> bool:
    service, region, account_id, relative_id = resource
    return (
        matches(service, _SERVICE)
        and matches(region, request.region)
        and matches(account_id, request.account_id)
        # ICE knows permissions for actions only: whoever speaks of one thing speaks of none
        and set(relative_id) == {"*"}
    )


def _several(value: Any, path: str, allowed: str) -> Iterable[tuple[Any, str]]:
    """A value, or each of a list, with its path."""
    if not isinstance(value, list):
        return [(value, path)]
    if not value:
        raise ConfigError(path, value, allowed)
    return [(one, f"{path}[{number}]") for number, one in enumerate(value)]


def _text(value: Any, path: str, form: re.Pattern[str], allowed: str) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ConfigError(path, value, allowed)
    return value


def _demand_known(read: Mapping[str, Any], above: str, known: Sequence[str]) -> None:
    for element in read:
        if element not in known:
            close = difflib.get_close_matches(element[:64], known, n=1, cutoff=0.5)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise ConfigError(
                f"{above}{element[:64]}", read[element], f"left out: there are {', '.join(known)}{hint}"
            )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise ConfigError(twice[:64], [value for key, value in pairs if key == twice], "written once")
    return read


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _managed(name: str, *actions: str) -> tuple[str, str]:
    statement = {"Effect": "Allow", "Action": [*actions], "Resource": ["acs:ice:*:*:*"]}
    return name, json.dumps({"Version": "1", "Statement": [statement]})


#: the documents of the policies that every account has
MANAGED = dict(
    (
        _managed("AliyunICEFullAccess", "ice:*"),
        _managed("AliyunICEReadOnlyAccess", "ice:Get*", "ice:List*", "ice:Describe*"),
    )
)
