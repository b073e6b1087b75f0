"""What is told of media assets: the events RegisterMediaComplete and DeleteMediaComplete (docs/events.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from stillframe.catalog.models import MediaAssetRow
from stillframe.events.outbox import Outbox

REGISTER_MEDIA_COMPLETE = "RegisterMediaComplete"
DELETE_MEDIA_COMPLETE = "DeleteMediaComplete"


def announce_registered(session: Session, outbox: Outbox, asset: MediaAssetRow) -> None:
    """The file is understood in this transaction, or given up, and its account is to hear of it."""
    has_failed = asset.status == "PrepareFail"

    def message() -> dict[str, Any]:
        told = _told(asset, "Fail" if has_failed else "Success")
        return told | ({"Code": asset.code, "Message": asset.message} if has_failed else {})

    outbox.write(session, asset.account_id, REGISTER_MEDIA_COMPLETE, message, datetime.now(UTC))


def announce_deleted(session: Session, outbox: Outbox, asset: MediaAssetRow) -> None:
    """The asset is removed in this transaction, and its account is to hear of it."""

    def message() -> dict[str, Any]:
        return _told(asset, "Success") | {"DeleteType": "all"}

    outbox.write(session, asset.account_id, DELETE_MEDIA_COMPLETE, message, datetime.now(UTC))


def _told(asset: MediaAssetRow, status: str) -> dict[str, Any]:
    """What both have; what an asset does not have is left out, as in answers of the API."""
    message = {
        "Status": status,
        "MediaId": asset.media_id,
        "MediaType": asset.media_type,
        "InputURL": asset.input_url,
        "ReferenceId": asset.reference_id,
        "UserData": asset.user_data,
    }
    return {name: value for name, value in message.items() if value is not None}
