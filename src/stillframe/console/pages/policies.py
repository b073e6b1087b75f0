"""Policies: the managed ones to look at, the account's own to make, change and delete. For the account itself only."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from stillframe.accounts.policies import LONGEST_DOCUMENT, MANAGED
from stillframe.accounts.policy_lines import line_of
from stillframe.console.page import Page
from stillframe.console.visit import Visit
from stillframe.errors import ConfigError
from stillframe.service.errors import shown

_BEGINNING = """{
  "Version": "1",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["ice:Get*", "ice:List*"],
      "Resource": "*"
    }
  ]
}
"""


@dataclass(frozen=True, slots=True)
class _Wrong:
    """What is wrong with the form: with its name, or with the document, in a line of it that may be known."""

    name: str | None = None
    document: str | None = None
    line: int | None = None


def new_policy(visit: Visit) -> Response:
    """The form of a new policy."""
    return _show_form(visit, "", _BEGINNING, _Wrong())


def create(visit: Visit) -> Response:
    """A new policy."""
    name = visit.form.get("name", "").strip()
    return _write(visit, name, visit.rooms.policies.create, f"{name} is made. Attach it to a user.")


def show(visit: Visit) -> Response:
    """A policy, to be changed if it is the account's own."""
    name = visit.path["name"]
    return _show_form(visit, name, visit.rooms.policies.document(visit.account_id, name), _Wrong())


def update(visit: Visit) -> Response:
    """Another document for a policy."""
    name = visit.path["name"]
    return _write(visit, name, visit.rooms.policies.update, f"{name} is changed, from the next request on.")


def delete(visit: Visit) -> Response:
    """Remove a policy that nobody has."""
    name = visit.path["name"]
    try:
        visit.rooms.policies.delete(visit.account_id, name)
    except ConfigError as error:
        return visit.go(f"/people/policies/{name}", failed=f"{name} must be {error.allowed}.")
    return visit.go("/people", done=f"{name} is deleted.")


PAGES = (
    Page("/people/new-policy", new_policy, (), of_account=True),
    Page("/people/new-policy", create, (), method="POST", of_account=True),
    Page("/people/policies/{name}", show, (), of_account=True),
    Page("/people/policies/{name}", update, (), method="POST", of_account=True),
    Page("/people/policies/{name}/delete", delete, (), method="POST", of_account=True),
)


def _write(visit: Visit, name: str, write: Callable[[str, str, str], None], done: str) -> Response:
    # browsers send two characters for the end of a line
    document = visit.form.get("document", "").replace("\r\n", "\n")
    try:
        write(visit.account_id, name, document)
    except ConfigError as error:
        return _show_form(visit, name, document, _wrong(error, name, document))
    return visit.go(f"/people/policies/{name}", done=done)


def _wrong(error: ConfigError, name: str, document: str) -> _Wrong:
    if error.path == "Policy" and error.value == name:
        return _Wrong(name=f"Must be {error.allowed}.")
    line = line_of(document, error.path)
    where = f"Line {line}: " if line is not None else ""
    if error.path == "Policy":
        return _Wrong(document=f"{where}it must be {error.allowed}.", line=line)
    return _Wrong(
        document=f"{where}{error.path} is {shown(error.value)}, but must be {error.allowed}.", line=line
    )


def _show_form(visit: Visit, name: str, document: str, wrong: _Wrong) -> Response:
    is_new = "name" not in visit.path
    users = visit.rooms.users.all(visit.account_id)
    return visit.show(
        "people/policy.html",
        status=400 if wrong != _Wrong() else 200,
        name=name,
        document=document,
        is_new=is_new,
        managed=json.loads(MANAGED[name]) if not is_new and name in MANAGED else None,
        users=[] if is_new else [user.name for user in users if name in user.policies],
        wrong=wrong,
        longest=LONGEST_DOCUMENT,
    )
