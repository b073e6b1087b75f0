"""Where an account wants to be told of what: set it, look at it, take it back."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from stillframe.errors import ConfigError, NotSupported
from stillframe.events.callbacks import ALL, Callback, Callbacks
from stillframe.events.signing import webhook_key
from stillframe.events.targets import demand_url
from stillframe.settings import Network

#: what IMS can tell of (its event list); those that Stillframe has nothing to tell of are accepted, since programs that
#: were written for IMS name them
EVENT_TYPES = frozenset(
    {
        "AIMediaAuditComplete",
        "AIProduceComplete",
        "AttachedMediaUploadComplete",
        "BatchProduceMediaComplete",
        "CreateAuditComplete",
        "DeleteMediaComplete",
        "DynamicImageComplete",
        "FileUploadComplete",
        "ImageUploadComplete",
        "LiveRecordFileCreated",
        "LiveRecordTaskStatus",
        "LiveSnapshotFileCreated",
        "MediaAiAnalysisComplete",
        "MediaBaseChangeComplete",
        "MediaConvertComplete",
        "MediaConvertOutputComplete",
        "MediaConvertOutputGroupComplete",
        "ProduceMediaComplete",
        "RegisterMediaComplete",
        "RegisterStreamComplete",
        "SnapshotComplete",
        "StreamUploadComplete",
        "TranscodeComplete",
        "TranscodeParentComplete",
        "UploadByURLComplete",
        "UploadStreamByURLComplete",
        "VideoAnalysisComplete",
        "WorkflowTaskComplete",
    }
)
#: characters of an AuthKey (`ims_api`, 2.9)
LONGEST_AUTH_KEY = 32
_AUTH_KEY = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[!-~]+")


@dataclass(frozen=True, slots=True)
class CallbackRequest:
    """A callback to be set; without `event_types` the account is told nothing any more."""

    event_types: str | None
    type: Literal["HTTP", "MNS"] = "HTTP"
    url: str | None = None
    queue_name: str | None = None
    auth_switch: bool = False
    auth_key: str | None = field(default=None, repr=False)
    webhook_secret: str | None = field(default=None, repr=False)


class EventCallbacks:
    """The callbacks of all accounts. `allowed` are networks that a URL may lead to besides public ones."""

    def __init__(self, callbacks: Callbacks, allowed: Sequence[Network]) -> None:
        self._callbacks = callbacks
        self._allowed = allowed

    def set(self, account_id: str, request: CallbackRequest) -> None:
        """Put a callback in the place of the one before. Raises ConfigError for what is not right."""
        if request.type == "MNS" or request.queue_name is not None:
            parameter = "CallbackType" if request.type == "MNS" else "CallbackQueueName"
            value = request.queue_name if request.type == "HTTP" else request.type
            raise NotSupported(parameter, value, "left out, or HTTP: there is no message queue here")
        event_types = _event_types(request.event_types or "")
        callback = self._callback(request, event_types)
        if event_types:
            self._callbacks.set(account_id, callback)
        else:
            self._callbacks.remove(account_id)

    def get(self, account_id: str) -> Callback | None:
        """What the account has set; None when it is told nothing."""
        return self._callbacks.find(account_id)

    def _callback(self, request: CallbackRequest, event_types: tuple[str, ...]) -> Callback:
        if request.url is not None:
            demand_url(request.url, self._allowed)
        elif event_types:
            raise ConfigError("CallbackURL", None, "the receiver's address, or EventTypeList be left out")
        if request.auth_key is not None and not _AUTH_KEY.fullmatch(request.auth_key):
            allowed = (
                f"{LONGEST_AUTH_KEY} characters at the most, with upper-case, lower-case letters and digits"
            )
            raise ConfigError("AuthKey", "(not shown)", allowed)
        if request.auth_switch and request.auth_key is None:
            raise ConfigError("AuthKey", None, "set when AuthSwitch is on")
        if request.webhook_secret is not None:
            webhook_key(request.webhook_secret)
        return Callback(
            request.url or "", event_types, request.auth_switch, request.auth_key, request.webhook_secret
        )


def _event_types(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name != ALL and name not in EVENT_TYPES:
            close = difflib.get_close_matches(name[:64], EVENT_TYPES, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise ConfigError("EventTypeList", text, f"{ALL}, or names of events with commas{hint}")
    return names
