"""The actions of storage: the buckets that an account may use, and its default one."""

from __future__ import annotations

from stillframe.errors import NotSupported
from stillframe.ims.action import Action, Context
from stillframe.ims.models_snapshot_jobs import SuccessAnswer
from stillframe.ims.models_storage import (
    GetDefaultStorageLocationAnswer,
    GetDefaultStorageLocationRequest,
    GetStorageListAnswer,
    GetStorageListRequest,
    SetDefaultStorageLocationRequest,
    StorageInfo,
)

_APP_ID = "app-1000000"


def list_storages(context: Context, request: GetStorageListRequest) -> GetStorageListAnswer:
    """The buckets that the account owns, and those that it was granted something in."""
    if request.app_id not in (None, _APP_ID) or request.storage_type == "vod_oss_bucket":
        return GetStorageListAnswer(storage_info_list=[])
    account_id = context.caller.account_id
    chosen = context.services.buckets.usable_default_storage(account_id)
    return GetStorageListAnswer(
        storage_info_list=[
            StorageInfo(
                app_id=_APP_ID,
                storage_location=bucket.name,
                storage_type="user_oss_bucket",
                path=chosen.path if chosen is not None and chosen.bucket == bucket.name else "",
                status="Normal",
                default_storage=chosen is not None and chosen.bucket == bucket.name,
                editing_temp_file_storage=False,
                creation_time=bucket.created_at,
                modified_time=bucket.created_at,
            )
            for bucket in context.services.buckets.all_of_account(account_id)
        ]
    )


def get_default(
    context: Context, request: GetDefaultStorageLocationRequest
) -> GetDefaultStorageLocationAnswer:
    """Where outputs go that name no bucket."""
    chosen = context.services.buckets.usable_default_storage(context.caller.account_id)
    if chosen is None:
        return GetDefaultStorageLocationAnswer(status="notExist")
    return GetDefaultStorageLocationAnswer(
        status="Normal", bucket=chosen.bucket, path=chosen.path, storage_type="user_oss_bucket"
    )


def set_default(context: Context, request: SetDefaultStorageLocationRequest) -> SuccessAnswer:
    """Say where outputs go that name no bucket."""
    if request.storage_type != "user_oss_bucket":
        raise NotSupported("StorageType", request.storage_type, "user_oss_bucket")
    context.services.buckets.set_default_storage(
        context.caller.account_id, request.bucket, request.path or ""
    )
    return SuccessAnswer()


ACTIONS = (
    Action(
        "GetStorageList",
        "The buckets that an account may use.",
        "read",
        GetStorageListRequest,
        GetStorageListAnswer,
        list_storages,
        errors={},
        example={"StorageType": "user_oss_bucket"},
    ),
    Action(
        "GetDefaultStorageLocation",
        "Where outputs go that name no bucket.",
        "read",
        GetDefaultStorageLocationRequest,
        GetDefaultStorageLocationAnswer,
        get_default,
        errors={},
        example={},
    ),
    Action(
        "SetDefaultStorageLocation",
        "Say where outputs go that name no bucket.",
        "write",
        SetDefaultStorageLocationRequest,
        SuccessAnswer,
        set_default,
        errors={
            "InvalidParameter.NotSupport": "StorageType is vod_oss_bucket.",
            "ResourceNotFound": "There is no such bucket, or the account may not write there.",
        },
        example={"Bucket": "local", "Path": "media/"},
    ),
)
