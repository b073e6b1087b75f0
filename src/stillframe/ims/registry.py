"""All actions, by group and by name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

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

#: what belongs together, under a title for people
GROUPS: Mapping[str, Sequence[Action]] = {
    "Snapshot jobs": snapshot_jobs.ACTIONS,
    "Templates": templates.ACTIONS,
    "Pipelines": pipelines.ACTIONS,
    "Storage": storage.ACTIONS,
    "Event callbacks": event_callbacks.ACTIONS,
    "Media assets": media_assets.ACTIONS,
    "Probe jobs": media_info_jobs.ACTIONS,
}
ACTIONS: Mapping[str, Action] = {action.name: action for group in GROUPS.values() for action in group}


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
