"""Requests and answers of the storage actions, field by field as IMS documents them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stillframe.ims.action import Answer, AnswerObject, RequestModel
from stillframe.ims.fields import Flag, Text, UtcTime

#: of one's own buckets; the other kind belongs to a product that is not here
StorageType = Literal["user_oss_bucket", "vod_oss_bucket"]
AppId = Annotated[str, Text(64)]


class GetStorageListRequest(RequestModel):
    """Parameters of GetStorageList."""

    app_id: AppId | None = Field(default=None, description="There is one: app-1000000.")
    status: Literal["Normal"] | None = None
    storage_type: StorageType | None = None


class StorageInfo(AnswerObject):
    """A bucket that the account may use."""

    app_id: str
    storage_location: str = Field(description="The name of the bucket.")
    storage_type: StorageType
    path: str = Field(description="The beginning of the keys that it is about.")
    status: Literal["Normal"]
    default_storage: bool
    editing_temp_file_storage: bool
    creation_time: UtcTime
    modified_time: UtcTime


class GetStorageListAnswer(Answer):
    """Answer of GetStorageList."""

    storage_info_list: list[StorageInfo]


class GetDefaultStorageLocationRequest(RequestModel):
    """GetDefaultStorageLocation has no parameters."""


class GetDefaultStorageLocationAnswer(Answer):
    """Answer of GetDefaultStorageLocation."""

    status: Literal["Normal", "notExist"]
    bucket: str | None = None
    path: str | None = None
    storage_type: StorageType | None = None


class SetDefaultStorageLocationRequest(RequestModel):
    """Parameters of SetDefaultStorageLocation."""

    bucket: Annotated[str, Text(63)] = Field(description="A bucket that the account may write to.")
    path: Annotated[str, Text(512)] | None = Field(
        default=None, description="The beginning of the keys; a slash at its end is added."
    )
    storage_type: StorageType = Field(
        default="user_oss_bucket", description="user_oss_bucket: the other is not supported."
    )
    editing_temp_file_storage: Flag = Field(default=False, description="Nothing is edited here.")
