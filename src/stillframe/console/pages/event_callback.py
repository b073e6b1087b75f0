"""Where the account's events are sent, and which. A secret that is set is never shown; one that is made is, once."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping

from starlette.responses import Response

from stillframe.console.page import Page
from stillframe.console.visit import Visit
from stillframe.errors import ConfigError
from stillframe.events.callbacks import ALL, Callback
from stillframe.jobs.asset_events import DELETE_MEDIA_COMPLETE, REGISTER_MEDIA_COMPLETE
from stillframe.jobs.completion import SNAPSHOT_COMPLETE
from stillframe.service.errors import shown
from stillframe.service.event_callbacks import CallbackRequest

_TYPES = (
    (SNAPSHOT_COMPLETE, "a snapshot job has ended"),
    (REGISTER_MEDIA_COMPLETE, "a media asset was looked at"),
    (DELETE_MEDIA_COMPLETE, "a media asset was removed"),
    (ALL, "all of them, and those that come with later versions"),
)
_OURS = {name for name, _ in _TYPES}
_SECRET_BYTES = 32
_FIELDS = {
    "CallbackURL": "url",
    "EventTypeList": "types",
    "AuthKey": "auth_key",
    "WebhookSecret": "webhook_secret",
}


def show(visit: Visit) -> Response:
    """What is set, as a form."""
    callback = visit.services.event_callbacks.get(visit.account_id)
    told = callback.event_types if callback else (SNAPSHOT_COMPLETE,)
    texts = {f"type_{name}": "on" for name in told if name in _OURS}
    if callback is not None:
        texts |= {"url": callback.url} | ({"auth_switch": "on"} if callback.auth_switch else {})
    return _show_form(visit, callback, texts, {})


def save(visit: Visit) -> Response:
    """Put a callback in the place of the one before."""
    before = visit.services.event_callbacks.get(visit.account_id)
    form = visit.form
    chosen = [name for name, _ in _TYPES if form.get(f"type_{name}") == "on"]
    if not chosen:
        errors = {"types": "Choose at least one. To be told nothing any more, remove the callback."}
        return _show_form(visit, before, form, errors)
    if is_made := form.get("webhook") == "make":
        visit.demand_once()
    secret = _webhook_secret(form, before)
    # programs that were written for IMS name events that there are none of here
    others = [name for name in (before.event_types if before else ()) if name not in _OURS]
    try:
        visit.services.event_callbacks.set(
            visit.account_id,
            CallbackRequest(
                event_types=",".join([*chosen, *others]),
                url=form.get("url", "").strip(),
                auth_switch=form.get("auth_switch") == "on",
                auth_key=form.get("auth_key") or (before.auth_key if before else None),
                webhook_secret=secret,
            ),
        )
    except ConfigError as error:
        value = "" if error.value in (None, "(not shown)") else f"It is {shown(error.value)}, but must be "
        told = f"{value or 'Must be '}{error.allowed}."
        return _show_form(visit, before, form, {_FIELDS.get(error.path, "url"): told})
    if is_made:
        return visit.show("events/secret_made.html", secret=secret)
    return visit.go("/events/callback", done="Events are sent there from now on.")


def remove(visit: Visit) -> Response:
    """Tell the account nothing any more."""
    visit.services.event_callbacks.set(visit.account_id, CallbackRequest(event_types=None))
    return visit.go("/events", done="The callback is removed, and what waited is forgotten.")


PAGES = (
    Page("/events/callback", show, ("GetEventCallback",)),
    Page("/events/callback", save, ("SetEventCallback", "GetEventCallback"), method="POST"),
    Page("/events/callback/remove", remove, ("SetEventCallback",), method="POST"),
)


def _webhook_secret(form: Mapping[str, str], before: Callback | None) -> str | None:
    match form.get("webhook"):
        case "make":
            return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"
        case "own":
            return form.get("webhook_secret", "").strip()
        case "none":
            return None
        case _:
            return before.webhook_secret if before is not None else None


def _show_form(
    visit: Visit, before: Callback | None, texts: Mapping[str, str], errors: Mapping[str, str]
) -> Response:
    waiting, _ = visit.rooms.event_history.count(visit.account_id)
    has_secret = before is not None and before.webhook_secret is not None
    kept = [("keep", "Keep the one that is set")] if has_secret else []
    return visit.show(
        "events/callback.html",
        status=400 if errors else 200,
        callback=before,
        texts=texts,
        errors=errors,
        types=_TYPES,
        others=[name for name in (before.event_types if before else ()) if name not in _OURS],
        has_auth_key=before is not None and before.auth_key is not None,
        choices=[*kept, ("none", "None"), ("make", "Make one, and show it once"), ("own", "This one:")],
        waiting=waiting,
    )
