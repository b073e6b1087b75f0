"""Requests and answers of the event callback actions, field by field as IMS documents them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stillframe.events.targets import LONGEST_URL
from stillframe.ims.action import Answer, RequestModel
from stillframe.ims.fields import SecretText, Text
from stillframe.service.event_callbacks import LONGEST_AUTH_KEY


class SetEventCallbackRequest(RequestModel):
    """Parameters of SetEventCallback."""

    callback_type: Literal["HTTP", "MNS"] = Field(
        default="HTTP", description="HTTP. MNS is not supported: there is no message queue here."
    )
    callback_url: Annotated[str, Text(LONGEST_URL)] | None = Field(
        default=None, alias="CallbackURL", description="Where events are sent to, by POST."
    )
    callback_queue_name: Annotated[str, Text(256)] | None = Field(
        default=None, description="Of CallbackType MNS; not supported."
    )
    event_type_list: Annotated[str, Text(1024)] | None = Field(
        default=None,
        description="Names of events with commas, or ALL; without it no more events are sent.",
    )
    auth_switch: Literal["on", "off"] = Field(
        default="off", description="Whether X-ICE-TIMESTAMP and X-ICE-SIGNATURE are sent."
    )
    auth_key: Annotated[str, SecretText(LONGEST_AUTH_KEY)] | None = Field(
        default=None, description="What they are made with: upper-case, lower-case letters and digits."
    )
    webhook_secret: Annotated[str, SecretText(128)] | None = Field(
        default=None,
        description="whsec_ and 24 to 64 bytes in base64: messages are signed as Standard Webhooks are. Not in IMS.",
    )


class GetEventCallbackRequest(RequestModel):
    """GetEventCallback has no parameters."""


class GetEventCallbackAnswer(Answer):
    """Answer of GetEventCallback; empty while none is set."""

    callback_type: str | None = Field(default=None, description="Always HTTP.")
    callback_url: str | None = Field(
        default=None, serialization_alias="CallbackURL", description="Where events are sent to, by POST."
    )
    event_type_list: str | None = Field(default=None, description="Names of events with commas, or ALL.")
    auth_switch: str | None = Field(
        default=None, description="on: X-ICE-TIMESTAMP and X-ICE-SIGNATURE are sent."
    )
    auth_key: str | None = Field(default=None, description="What X-ICE-SIGNATURE is made with.")
    webhook_secret: str | None = Field(
        default=None, description="What webhook-signature is made with. Not in IMS."
    )
