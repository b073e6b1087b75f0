"""All actions, by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from stillframe.ims import (
    event_callbacks,
    media_assets,
    media_info_jobs,
    pipelines,
    snapshot_jobs,
    storage,
    templates,
)
from stillframe.ims.action import Action
from stillframe.ims.wire import VERSION, ActionName
from stillframe.service.errors import ApiError, shown

ACTIONS: Mapping[str, Action] = {
    action.name: action
    for group in (
        snapshot_jobs,
        templates,
        pipelines,
        storage,
        event_callbacks,
        media_assets,
        media_info_jobs,
    )
    for action in group.ACTIONS
}


def find(name: ActionName) -> Action:
    """The action of this name and version. Raises ApiError (InvalidVersion, InvalidAction.NotFound)."""
    if name.version != VERSION:
        raise ApiError("InvalidVersion", version=shown(name.version), allowed=VERSION)
    action = ACTIONS.get(name.action)
    if action is None:
        close = difflib.get_close_matches(name.action[:64], ACTIONS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ApiError("InvalidAction.NotFound", flaw=f"There is no action {shown(name.action)}{hint}.")
    return action
