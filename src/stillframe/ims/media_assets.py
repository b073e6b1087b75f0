"""The actions of media assets."""

from __future__ import annotations

import json
from typing import Any

from stillframe.catalog.assets import AssetFilter, AssetName
from stillframe.errors import ConfigError, NotSupported
from stillframe.ims.action import EXAMPLE_ID, Action, Context
from stillframe.ims.media_files import dated_file_infos, file_infos, file_summaries
from stillframe.ims.models_media_assets import (
    BatchGetMediaInfosAnswer,
    BatchGetMediaInfosRequest,
    BatchMediaInfo,
    DeleteMediaInfosAnswer,
    DeleteMediaInfosRequest,
    GetMediaInfoAnswer,
    GetMediaInfoRequest,
    ListedMediaInfo,
    ListMediaBasicInfosAnswer,
    ListMediaBasicInfosRequest,
    MediaBasicInfo,
    MediaBasics,
    MediaIdAnswer,
    MediaInfo,
    OneAssetRequest,
    RegisterConfig,
    RegisterMediaInfoRequest,
    UpdateMediaInfoRequest,
)
from stillframe.jobs.asset_pictures import AssetPictures
from stillframe.service.assets import AssetChanges, AssetDetails, RegisterRequest
from stillframe.service.errors import ApiError

#: what BatchGetMediaInfos shows besides, in lower case
_FILE_INFO, _DYNAMIC = "fileinfo", "dynamicmetadata"


def register(context: Context, request: RegisterMediaInfoRequest) -> MediaIdAnswer:
    """Give an object an id; its file is looked at from then on, whatever happens to the server."""
    for parameter, value in (
        ("WorkflowId", request.workflow_id),
        ("SmartTagTemplateId", request.smart_tag_template_id),
    ):
        if value is not None:
            raise NotSupported(parameter, value, "left out")
    config = request.register_config or RegisterConfig()
    start_s = config.cover_config.start_time if config.cover_config is not None else None
    media_id = context.services.media_assets.register(
        context.caller.account_id,
        RegisterRequest(
            input_url=request.input_url,
            media_type=request.media_type,
            business_type=request.business_type,
            title=request.title,
            description=request.description,
            tags=request.media_tags,
            cover_url=request.cover_url,
            user_data=request.user_data,
            cate_id=request.cate_id,
            reference_id=request.reference_id,
            overwrite=request.overwrite,
            client_token=request.client_token,
            needs_snapshot=config.need_snapshot,
            needs_sprite=config.need_sprite,
            cover_ms=round(start_s * 1000) if start_s is not None else None,
        ),
    )
    return MediaIdAnswer(media_id=media_id)


def get(context: Context, request: GetMediaInfoRequest) -> GetMediaInfoAnswer:
    """One asset, with all that there is to know of it."""
    if request.output_type == "cdn":
        raise NotSupported("OutputType", request.output_type, "oss")
    details = context.services.media_assets.get(
        context.caller.account_id, _name(request), request.auth_timeout
    )
    return GetMediaInfoAnswer(
        media_info=MediaInfo(
            media_id=details.asset.media_id,
            media_basic_info=_basic_info(details),
            file_info_list=dated_file_infos(details),
        )
    )


def update(context: Context, request: UpdateMediaInfoRequest) -> MediaIdAnswer:
    """Change what is told of an asset; its object stays what it is."""
    media_id = context.services.media_assets.update(
        context.caller.account_id,
        _name(request),
        AssetChanges(
            business_type=request.business_type,
            title=request.title,
            description=request.description,
            tags=request.media_tags,
            append_tags=request.append_tags,
            cover_url=request.cover_url,
            user_data=request.user_data,
            cate_id=request.cate_id,
            category=request.category,
            reference_id=request.reference_id,
        ),
    )
    return MediaIdAnswer(media_id=media_id)


def delete(context: Context, request: DeleteMediaInfosRequest) -> DeleteMediaInfosAnswer:
    """Forget assets, and their files if asked to."""
    names = [
        *(AssetName(media_id=media_id) for media_id in request.media_ids or ()),
        *(AssetName(input_url=url) for url in request.input_urls or ()),
    ]
    if not names:
        raise ApiError("MissingParameter", path="MediaIds")
    removed = context.services.media_assets.delete(
        context.caller.account_id, names, files=request.delete_physical_files
    )
    return DeleteMediaInfosAnswer(ignored_list=[*removed.ignored], forbidden_list=[*removed.forbidden])


def list_infos(context: Context, request: ListMediaBasicInfosRequest) -> ListMediaBasicInfosAnswer:
    """The account's assets, page by page."""
    if request.source not in (None, "oss") or request.status == "Init":
        # there are no such assets here
        return ListMediaBasicInfosAnswer(media_infos=[], max_results=request.max_results, total_count=0)
    page = context.services.media_assets.page(
        context.caller.account_id,
        AssetFilter(
            media_id=request.media_id,
            media_type=request.media_type,
            business_type=request.business_type,
            status=request.status,
            after=request.start_time,
            until=request.end_time,
        ),
        newest_first=request.sort_by == "desc",
        size=request.max_results,
        token=request.next_token,
        timeout_s=request.auth_timeout,
    )
    return ListMediaBasicInfosAnswer(
        media_infos=[
            ListedMediaInfo(
                media_id=details.asset.media_id,
                media_basic_info=_basic_info(details),
                file_info_list=file_summaries(details) if request.include_file_basic_info else None,
            )
            for details in page.assets
        ],
        max_results=request.max_results,
        next_token=page.next_token,
        total_count=page.total,
    )


def batch_get(context: Context, request: BatchGetMediaInfosRequest) -> BatchGetMediaInfosAnswer:
    """Several assets by their ids."""
    wanted = {name.lower() for name in request.addition_type or ()}
    if wanted - {_FILE_INFO, _DYNAMIC}:
        raise ConfigError(
            "AdditionType", ",".join(request.addition_type or ()), "FileInfo, DynamicMetaData, or both"
        )
    found, ignored = context.services.media_assets.many(
        context.caller.account_id, request.media_ids, request.auth_timeout
    )
    return BatchGetMediaInfosAnswer(
        media_infos=[
            BatchMediaInfo(
                media_id=details.asset.media_id,
                media_basic_info=MediaBasics(**_basics(details)),
                file_info_list=file_infos(details) if _FILE_INFO in wanted else None,
            )
            for details in found
        ],
        ignored_list=[*ignored],
    )


_EXAMPLE = {"MediaId": EXAMPLE_ID}
_NONE = {"ResourceNotFound": "There is no such asset."}
_REFERENCE = "ReferenceId is another asset's."
_TOO_LONG = "AuthTimeout is more than the server allows."

ACTIONS = (
    Action(
        "RegisterMediaInfo",
        "Give an object in a bucket an id, learn what is in it, and make its cover and a sheet.",
        "write",
        RegisterMediaInfoRequest,
        MediaIdAnswer,
        register,
        errors={
            "IdempotentParameterMismatch": "ClientToken was used before, with other parameters.",
            "InvalidParameter": (
                "InputURL is no address, or its region is not the bucket's; there are too many tags, or too "
                f"long ones; BusinessType is not for texts, and MediaType is text. {_REFERENCE}"
            ),
            "InvalidParameter.NotSupport": (
                "InputURL begins with vod://, or WorkflowId or SmartTagTemplateId is given."
            ),
            "MediaAlreadyExist": "There is an asset of the object, and Overwrite is false.",
            "ResourceNotFound": "There is no such bucket, or the account may not read the object.",
        },
        example={
            "InputURL": "oss://local/movie.mp4",
            "Title": "A film",
            "MediaTags": "short,night",
            "RegisterConfig": '{"CoverConfig":{"StartTime":1.5}}',
            "ClientToken": "0d3c7f50a6f04c56b1b9d7a9e1f1c2aa",
        },
    ),
    Action(
        "GetMediaInfo",
        "One asset, with its file and what was made for it.",
        "read",
        GetMediaInfoRequest,
        GetMediaInfoAnswer,
        get,
        errors=_NONE
        | {
            "InvalidParameter": f"InputURL is no address. {_TOO_LONG}",
            "InvalidParameter.NotSupport": "OutputType is cdn.",
            "MissingParameter": "Neither MediaId nor InputURL is given.",
        },
        example=_EXAMPLE | {"AuthTimeout": 600},
    ),
    Action(
        "UpdateMediaInfo",
        "Change what is told of an asset; what is left out stays.",
        "write",
        UpdateMediaInfoRequest,
        MediaIdAnswer,
        update,
        errors=_NONE
        | {
            "InvalidParameter": (
                f"There are too many tags, or too long ones; BusinessType is not for texts. {_REFERENCE}"
            ),
            "MissingParameter": "Neither MediaId nor InputURL is given.",
        },
        example=_EXAMPLE | {"Title": "Another title", "MediaTags": "day", "AppendTags": True},
    ),
    Action(
        "DeleteMediaInfos",
        "Forget assets, and remove their files if asked to.",
        "write",
        DeleteMediaInfosRequest,
        DeleteMediaInfosAnswer,
        delete,
        errors={"MissingParameter": "Neither MediaIds nor InputURLs is given."},
        example={"MediaIds": EXAMPLE_ID, "DeletePhysicalFiles": True},
    ),
    Action(
        "ListMediaBasicInfos",
        "The assets of an account, page by page.",
        "read",
        ListMediaBasicInfosRequest,
        ListMediaBasicInfosAnswer,
        list_infos,
        errors={"InvalidParameter": f"NextToken is not of an earlier answer. {_TOO_LONG}"},
        example={"MediaType": "video", "IncludeFileBasicInfo": True, "MaxResults": 5},
    ),
    Action(
        "BatchGetMediaInfos",
        "Several assets by their ids.",
        "read",
        BatchGetMediaInfosRequest,
        BatchGetMediaInfosAnswer,
        batch_get,
        errors={"InvalidParameter": f"AdditionType names something else. {_TOO_LONG}"},
        example={"MediaIds": EXAMPLE_ID, "AdditionType": "FileInfo"},
    ),
)


def _name(request: OneAssetRequest) -> AssetName:
    if request.media_id is None and request.input_url is None:
        raise ApiError("MissingParameter", path="MediaId")
    return AssetName(request.media_id, request.input_url)


def _basic_info(details: AssetDetails) -> MediaBasicInfo:
    asset = details.asset
    return MediaBasicInfo(**_basics(details), cate_id=asset.cate_id, reference_id=asset.reference_id)


def _basics(details: AssetDetails) -> dict[str, Any]:
    asset = details.asset
    return {
        "media_id": asset.media_id,
        "input_url": asset.input_url,
        "status": asset.status,
        "code": asset.code,
        "message": asset.message,
        "media_type": asset.media_type,
        "business_type": asset.business_type,
        "title": asset.title,
        "description": asset.description,
        "category": asset.category,
        "media_tags": ",".join(asset.tags) or None,
        "cover_url": details.cover_url,
        "user_data": asset.user_data,
        "snapshots": _json([_snapshot(one) for one in details.pictures if not one.is_sheets]),
        "sprite_images": _json([_sprite(one) for one in details.pictures if one.is_sheets]),
        "create_time": asset.created_at,
        "modified_time": asset.modified_at,
    }


def _snapshot(pictures: AssetPictures) -> dict[str, str]:
    """One job's pictures, in the keys of IMS: all values are text."""
    told = {
        "bucket": pictures.bucket,
        "count": str(pictures.count),
        "iceJobId": pictures.job_id,
        "location": f"oss-{pictures.region}",
        "snapshotRegular": pictures.regular,
    }
    if pictures.template_id is not None:
        told["templateId"] = pictures.template_id
    if pictures.track is not None:
        told["webVtt"] = pictures.track
    return told


def _sprite(pictures: AssetPictures) -> dict[str, str]:
    return _snapshot(pictures) | {"spriteRegular": pictures.regular, "tileCount": str(pictures.files)}


def _json(value: list[dict[str, str]]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
