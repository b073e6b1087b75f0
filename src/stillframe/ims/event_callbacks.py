"""The actions of event callbacks."""

from __future__ import annotations

from stillframe.ims.action import Action, Context
from stillframe.ims.models_event_callbacks import (
    GetEventCallbackAnswer,
    GetEventCallbackRequest,
    SetEventCallbackRequest,
)
from stillframe.ims.models_snapshot_jobs import SuccessAnswer
from stillframe.service.event_callbacks import CallbackRequest


def set_callback(context: Context, request: SetEventCallbackRequest) -> SuccessAnswer:
    """Say where events are to be sent, and which."""
    context.services.event_callbacks.set(
        context.caller.account_id,
        CallbackRequest(
            event_types=request.event_type_list,
            type=request.callback_type,
            url=request.callback_url,
            queue_name=request.callback_queue_name,
            auth_switch=request.auth_switch == "on",
            auth_key=request.auth_key,
            webhook_secret=request.webhook_secret,
        ),
    )
    return SuccessAnswer()


def get_callback(context: Context, request: GetEventCallbackRequest) -> GetEventCallbackAnswer:
    """Where events are sent, and which."""
    callback = context.services.event_callbacks.get(context.caller.account_id)
    if callback is None:
        return GetEventCallbackAnswer()
    return GetEventCallbackAnswer(
        callback_type="HTTP",
        callback_url=callback.url,
        event_type_list=",".join(callback.event_types),
        auth_switch="on" if callback.auth_switch else "off",
        auth_key=callback.auth_key,
        webhook_secret=callback.webhook_secret,
    )


ACTIONS = (
    Action(
        "SetEventCallback",
        "Say where the account's events are sent, and which.",
        "write",
        SetEventCallbackRequest,
        SuccessAnswer,
        set_callback,
        errors={
            "InvalidParameter": (
                "EventTypeList names no event, CallbackURL is no public address, or AuthKey or "
                "WebhookSecret is not made as it must be."
            ),
            "InvalidParameter.NotSupport": "CallbackType is MNS, or CallbackQueueName is given.",
        },
        example={
            "CallbackType": "HTTP",
            "CallbackURL": "https://receiver.example/events",
            "EventTypeList": "SnapshotComplete",
            "AuthSwitch": "on",
            "AuthKey": "Example0Key",
        },
    ),
    Action(
        "GetEventCallback",
        "Where the account's events are sent, and which.",
        "read",
        GetEventCallbackRequest,
        GetEventCallbackAnswer,
        get_callback,
        errors={},
        example={},
    ),
)
