"""Users and keys: who may come in the account's name, and with what. For the account itself only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from starlette.responses import Response

from stillframe.accounts.keys import LATELY_MINUTES, KeyView, NewKey
from stillframe.accounts.policies import Decision, Spoken
from stillframe.console.page import Page
from stillframe.console.pages.objects import UPLOAD
from stillframe.console.visit import Visit
from stillframe.errors import ConfigError, NotFound


@dataclass(frozen=True, slots=True)
class _Line:
    """What may be done with one action, and the statements that speak of it."""

    action: str
    decision: Decision
    because: Sequence[Spoken]


def list_people(visit: Visit) -> Response:
    """The account's own keys, its users, and the policies that there are."""
    return _show_list(visit)


def create_user(visit: Visit) -> Response:
    """A new user, who may do nothing yet."""
    name = visit.form.get("name", "").strip()
    try:
        visit.rooms.users.create(visit.account_id, name)
    except ConfigError as error:
        return _show_list(visit, name=name, wrong=f"Must be {error.allowed}.")
    return visit.go(
        f"/people/users/{name}", done=f"{name} is made, and may do nothing until a policy is attached."
    )


def show_user(visit: Visit) -> Response:
    """One user, with their policies and keys."""
    user = visit.rooms.users.get(visit.account_id, visit.path["name"])
    names = [policy.name for policy in visit.rooms.policies.all(visit.account_id)]
    return visit.show(
        "people/user.html",
        user=user,
        keys=[key for key in visit.rooms.keys.all(visit.account_id) if key.user == user.name],
        lately=visit.rooms.keys.used_lately(visit.account_id),
        lately_minutes=LATELY_MINUTES,
        choices=[(name, name) for name in names if name not in user.policies],
    )


def delete_user(visit: Visit) -> Response:
    """Remove a user with their keys."""
    name = visit.path["name"]
    visit.rooms.users.delete(visit.account_id, name)
    return visit.go("/people", done=f"{name} is deleted, and their keys.")


def attach(visit: Visit) -> Response:
    """Let a policy count for a user."""
    name, policy = visit.path["name"], visit.form.get("policy", "")
    visit.rooms.users.attach(visit.account_id, name, policy)
    return visit.go(f"/people/users/{name}", done=f"{policy} counts for {name}.")


def detach(visit: Visit) -> Response:
    """Let a policy count for a user no more."""
    name, policy = visit.path["name"], visit.form.get("policy", "")
    visit.rooms.users.detach(visit.account_id, name, policy)
    return visit.go(f"/people/users/{name}", done=f"{policy} counts for {name} no more.")


def show_may(visit: Visit) -> Response:
    """What a user may do, action by action, in the circumstances that are given."""
    name = visit.path["name"]
    principal = visit.rooms.users.principal(visit.account_id, name)
    address = visit.query.get("address", visit.circumstances.source_ip or "").strip()
    is_secure = visit.query.get("https") == "on" if visit.query else visit.circumstances.is_secure
    wrong = _not_an_address(address)
    circumstances = replace(
        visit.circumstances, source_ip=None if wrong else address or None, is_secure=is_secure
    )
    lines = [
        _Line(action, *visit.rooms.permission.explain(visit.account_id, principal, action, circumstances))
        for action in _actions(visit)
    ]
    return visit.show(
        "people/may.html",
        status=400 if wrong else 200,
        name=name,
        address=address,
        is_secure=is_secure,
        wrong=wrong,
        lines=[] if wrong else lines,
        allowed=sum(line.decision.is_allowed for line in lines),
        policies={policy.name for policy in visit.rooms.policies.all(visit.account_id)},
    )


def create_account_key(visit: Visit) -> Response:
    """A new key of the account's own; its secret is in this answer, and in none after it."""
    visit.demand_once()
    return _show_made(visit, visit.rooms.keys.create(visit.account_id), None)


def create_user_key(visit: Visit) -> Response:
    """A new key of a user, likewise."""
    name = visit.path["name"]
    user_id = visit.rooms.users.id_of(visit.account_id, name)
    visit.demand_once()
    return _show_made(visit, visit.rooms.keys.create(visit.account_id, user_id=user_id), name)


def enable_key(visit: Visit) -> Response:
    """Accept a disabled key again."""
    key = _key(visit)
    visit.rooms.keys.set_active(key.access_key_id, active=True, account_id=visit.account_id)
    return visit.go(_home_of(key), done=f"{key.access_key_id} is active.")


def disable_key(visit: Visit) -> Response:
    """Refuse a key from the next request on."""
    key = _key(visit)
    visit.rooms.keys.set_active(key.access_key_id, active=False, account_id=visit.account_id)
    return _after(visit, key, "disabled")


def delete_key(visit: Visit) -> Response:
    """Remove a key for good."""
    key = _key(visit)
    visit.rooms.keys.delete(key.access_key_id, account_id=visit.account_id)
    return _after(visit, key, "deleted")


PAGES = (
    Page("/people", list_people, (), title="Users and keys", of_account=True),
    Page("/people", create_account_key, (), method="POST", of_account=True),
    Page("/people/users", create_user, (), method="POST", of_account=True),
    Page("/people/users/{name}", show_user, (), of_account=True),
    Page("/people/users/{name}", create_user_key, (), method="POST", of_account=True),
    Page("/people/users/{name}/delete", delete_user, (), method="POST", of_account=True),
    Page("/people/users/{name}/attach", attach, (), method="POST", of_account=True),
    Page("/people/users/{name}/detach", detach, (), method="POST", of_account=True),
    Page("/people/users/{name}/may", show_may, (), of_account=True),
    Page("/people/keys/{access_key_id}/enable", enable_key, (), method="POST", of_account=True),
    Page("/people/keys/{access_key_id}/disable", disable_key, (), method="POST", of_account=True),
    Page("/people/keys/{access_key_id}/delete", delete_key, (), method="POST", of_account=True),
)


def _show_list(visit: Visit, *, name: str = "", wrong: str | None = None) -> Response:
    keys = visit.rooms.keys.all(visit.account_id)
    users = visit.rooms.users.all(visit.account_id)
    return visit.show(
        "people/list.html",
        status=400 if wrong else 200,
        keys=[key for key in keys if key.user is None],
        users=users,
        keys_of={
            user.name: [key.access_key_id for key in keys if key.user == user.name and key.active]
            for user in users
        },
        lately=visit.rooms.keys.used_lately(visit.account_id),
        lately_minutes=LATELY_MINUTES,
        policies=visit.rooms.policies.all(visit.account_id),
        name=name,
        wrong=wrong,
    )


def _show_made(visit: Visit, made: NewKey, user: str | None) -> Response:
    return visit.show("people/key_made.html", made=made, user=user, endpoint=visit.rooms.public_url())


def _key(visit: Visit) -> KeyView:
    """The key that the path names. Raises NotFound, for one of another account, too."""
    wanted = visit.path["access_key_id"]
    for key in visit.rooms.keys.all(visit.account_id):
        if key.access_key_id == wanted:
            return key
    raise NotFound("AccessKey", wanted)


def _home_of(key: KeyView) -> str:
    return f"/people/users/{key.user}" if key.user is not None else "/people"


def _after(visit: Visit, key: KeyView, what: str) -> Response:
    if key.access_key_id == visit.who.caller.access_key_id:
        return visit.go("/login?over=key")
    left = any(one.active for one in visit.rooms.keys.all(visit.account_id))
    last = "" if left else " No active key of the account is left."
    return visit.go(_home_of(key), done=f"{key.access_key_id} is {what}.{last}")


def _actions(visit: Visit) -> list[str]:
    """All that policies speak of: the API's actions, and the one that only people have."""
    groups = visit.rooms.actions.groups.values()
    return sorted({UPLOAD, *(action.name for group in groups for action in group)})


def _not_an_address(text: str) -> str | None:
    try:
        ip_address(text or "::")
    except ValueError:
        return "Must be an address such as 203.0.113.7 or 2001:db8::1."
    return None
