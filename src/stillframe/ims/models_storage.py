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
    status: Literal["Normal"] | None = Field(default=None, description="All buckets are Normal.")
    storage_type: StorageType | None = Field(default=None, description="There are no vod_oss_bucket.")


class StorageInfo(AnswerObject):
    """A bucket that the account may use."""

    app_id: str = Field(description="Always app-1000000.")
    storage_location: str = Field(description="The name of the bucket.")
    storage_type: StorageType = Field(description="Always user_oss_bucket.")
    path: str = Field(description="The beginning of the keys that it is about.")
    status: Literal["Normal"] = Field(description="Always Normal.")
    default_storage: bool = Field(description="Whether outputs go there that name no bucket.")
    editing_temp_file_storage: bool = Field(description="Always false: nothing is edited here.")
    creation_time: UtcTime = Field(description="When it was registered.")
    modified_time: UtcTime = Field(description="The same.")


class GetStorageListAnswer(Answer):
    """Answer of GetStorageList."""

    storage_info_list: list[StorageInfo] = Field(description="The buckets, by name.")


class GetDefaultStorageLocationRequest(RequestModel):
    """GetDefaultStorageLocation has no parameters."""


class GetDefaultStorageLocationAnswer(Answer):
    """Answer of GetDefaultStorageLocation."""

    status: Literal["Normal", "notExist"] = Field(
        description="notExist: none was set, its bucket is gone, or the account may not write there any more."
    )
    bucket: str | None = Field(default=None, description="The name of the bucket.")
    path: str | None = Field(default=None, description="The beginning of the keys.")
    storage_type: StorageType | None = Field(default=None, description="Always user_oss_bucket.")


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
