"""Requests and answers of the media asset actions, field by field as IMS documents them.

IMS documents three objects for what it calls MediaBasicInfo, one for each action that shows assets.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from stillframe.catalog.models import AssetStatus, BusinessType, MediaType
from stillframe.ims.action import Answer, AnswerObject, RequestModel
from stillframe.ims.fields import Flag, JsonObject, Text, UtcTime, WholeNumber, refuse
from stillframe.ims.models_media import LONGEST_ADDRESS
from stillframe.ims.models_media_files import DatedMediaFileInfo, MediaFileInfo, MediaFileSummary

Id = Annotated[str, Text(200)]
Title = Annotated[str, Text(128)]
LongText = Annotated[str, Text(1024)]
Url = Annotated[str, Text(LONGEST_ADDRESS)]
Timeout = Annotated[int, WholeNumber(1, 86_400)]
CateId = Annotated[int, WholeNumber(-(1 << 63), (1 << 63) - 1)]
#: 16 tags of 32 bytes, with a comma and a space behind each
Tags = Annotated[str, Text(16 * 34)]

#: ids, or addresses, of one call
_MOST_AT_ONCE = 100
_LONGEST_LIST = 65_536
_BETWEEN_ADDRESSES = re.compile(r",\s*(?=(?:oss|https?|vod)://)", re.IGNORECASE)
_FORMS = "oss://bucket/object or http(s)://bucket.oss-region.aliyuncs.com/object"
_TIMEOUT = "How long the links are good, in seconds."
_BUSINESS = "subtitles or font for MediaType text; general if left out."


def _parse_reference(value: object) -> str:
    if isinstance(value, str) and re.fullmatch("[A-Za-z0-9_-]{6,64}", value):
        return value
    raise refuse("6 to 64 letters, digits, hyphens and underscores")


ReferenceId = Annotated[
    str,
    BeforeValidator(_parse_reference),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]{6,64}$"}),
]


def _parse_seconds(value: object) -> float:
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if re.fullmatch(r"[0-9]{1,6}(?:\.[0-9]{1,4})?", text):
        return float(text)
    raise refuse("seconds such as 5 or 12.25, fewer than a million, with four decimals at the most")


#: eleven days and a half, which are milliseconds of 32 bits
Seconds = Annotated[
    float,
    BeforeValidator(_parse_seconds),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 999_999.9999}),
]


def _parse_list(value: object) -> list[str]:
    return _few(value, [name.strip() for name in value.split(",")] if isinstance(value, str) else [])


def _parse_addresses(value: object) -> list[str]:
    """An object's name may hold a comma, and end with a blank: without them it is another object's."""
    return _few(value, _BETWEEN_ADDRESSES.split(value.lstrip()) if isinstance(value, str) else [])


def _few(value: object, found: list[str]) -> list[str]:
    names = [*dict.fromkeys(name for name in found if name)]
    if not isinstance(value, str) or len(names) > _MOST_AT_ONCE or len(value) > _LONGEST_LIST:
        raise refuse(f"at most {_MOST_AT_ONCE} of them, with commas between")
    return names


Names = Annotated[list[str], BeforeValidator(_parse_list), WithJsonSchema({"type": "string"})]
Addresses = Annotated[list[str], BeforeValidator(_parse_addresses), WithJsonSchema({"type": "string"})]


class CoverConfig(RequestModel):
    """The picture that becomes the cover."""

    start_time: Seconds | None = Field(
        default=None, description="Its moment, in seconds; the last keyframe where the video is shorter."
    )


class RegisterConfig(RequestModel):
    """What is made of a video that is registered."""

    need_snapshot: Flag = Field(default=True, description="A still, which is the cover, too.")
    need_sprite: Flag = Field(default=True, description="A sheet of 100 cells.")
    cover_config: Annotated[CoverConfig, JsonObject('{"StartTime":5}')] | None = Field(
        default=None, description="The picture that becomes the cover."
    )


class RegisterMediaInfoRequest(RequestModel):
    """Parameters of RegisterMediaInfo."""

    input_url: Url = Field(alias="InputURL", description=f"The object: {_FORMS}")
    media_type: MediaType | None = Field(
        default=None, description="By the object's name if left out, and by what is in it."
    )
    business_type: BusinessType | None = Field(default=None, description=_BUSINESS)
    title: Title | None = Field(default=None, description="The time of now if left out.")
    description: LongText | None = Field(default=None, description="What it is about.")
    media_tags: Tags | None = Field(default=None, description="Up to 16 of 32 bytes each, with commas.")
    cover_url: Annotated[str, Text(128)] | None = Field(
        default=None,
        alias="CoverURL",
        description="A picture of your own in the place of the one that is made.",
    )
    user_data: LongText | None = Field(
        default=None, description="Text of your own, JSON most often; it comes back with the asset."
    )
    overwrite: Flag = Field(
        default=False,
        description="Whether an asset that there is of the object is forgotten. Without it, that is MediaAlreadyExist.",
    )
    client_token: Annotated[str, Text(32)] | None = Field(
        default=None, description="The same token gives the same asset, not another one."
    )
    register_config: Annotated[RegisterConfig, JsonObject('{"NeedSprite":"false"}')] | None = Field(
        default=None, description="What is made of a video."
    )
    cate_id: CateId | None = Field(default=None, description="Kept as it is given.")
    reference_id: ReferenceId | None = Field(
        default=None, description="An id of your own; no two assets have the same."
    )
    workflow_id: Id | None = Field(default=None, description="Not supported: there are no workflows here.")
    smart_tag_template_id: Id | None = Field(
        default=None, description="Not supported: nothing is tagged here."
    )


class MediaIdAnswer(Answer):
    """Answer of RegisterMediaInfo and UpdateMediaInfo."""

    media_id: str = Field(description="The asset's id.")


class OneAssetRequest(RequestModel):
    """What names an asset."""

    media_id: Id | None = Field(default=None, description="The asset's id.")
    input_url: Url | None = Field(
        default=None, alias="InputURL", description=f"Without an id, its object: {_FORMS}"
    )


class DetailsChoice(RequestModel):
    """What is shown in full."""

    smart_tag_job: Flag = Field(
        default=False, alias="AiRoughData.StandardSmartTagJob", description="There are none of these here."
    )


class GetMediaInfoRequest(OneAssetRequest):
    """Parameters of GetMediaInfo."""

    output_type: Literal["oss", "cdn"] = Field(
        default="oss", description="oss. cdn is not supported: there is no such domain here."
    )
    return_detailed_info: (
        Annotated[DetailsChoice, JsonObject('{"AiRoughData.StandardSmartTagJob":false}')] | None
    ) = Field(default=None, description="Of results that there are none of here.")
    auth_timeout: Timeout = Field(default=3600, description=_TIMEOUT)


class UpdateMediaInfoRequest(OneAssetRequest):
    """Parameters of UpdateMediaInfo; what is left out stays."""

    business_type: BusinessType | None = Field(default=None, description="subtitles or font for texts.")
    title: Title | None = Field(default=None, description="Another title.")
    description: LongText | None = Field(default=None, description="Another description.")
    category: Annotated[str, Text(64)] | None = Field(
        default=None, description="The name of a category; kept as it is given."
    )
    media_tags: Tags | None = Field(default=None, description="Up to 16 of 32 bytes each, with commas.")
    append_tags: Flag = Field(default=False, description="Whether they come to those that there are.")
    cover_url: Annotated[str, Text(128)] | None = Field(
        default=None, alias="CoverURL", description="A picture of your own for the cover."
    )
    user_data: LongText | None = Field(default=None, description="Another text of your own.")
    cate_id: CateId | None = Field(default=None, description="Kept as it is given.")
    reference_id: ReferenceId | None = Field(
        default=None, description="An id of your own; no two assets have the same."
    )


class DeleteMediaInfosRequest(RequestModel):
    """Parameters of DeleteMediaInfos."""

    media_ids: Names | None = Field(
        default=None, description=f"Ids of assets with commas, {_MOST_AT_ONCE} at the most."
    )
    input_urls: Addresses | None = Field(
        default=None,
        alias="InputURLs",
        description=f"Addresses of their objects with commas, {_MOST_AT_ONCE} at the most; a comma that no address "
        "follows belongs to the name.",
    )
    delete_physical_files: Flag = Field(
        default=False, description="Remove the objects, and what was made for the assets, as well."
    )


class DeleteMediaInfosAnswer(Answer):
    """Answer of DeleteMediaInfos; what stands in no list is removed."""

    ignored_list: list[str] = Field(description="Names of nothing.")
    forbidden_list: list[str] = Field(description="Those whose files may not, or can not, be removed.")


class ListMediaBasicInfosRequest(RequestModel):
    """Parameters of ListMediaBasicInfos."""

    media_id: Id | None = Field(default=None, description="That asset only.")
    media_type: MediaType | None = Field(default=None, description="Assets of that type only.")
    business_type: BusinessType | None = Field(default=None, description="Assets of that business type only.")
    source: Literal["oss", "vod", "live", "general"] | None = Field(
        default=None, description="Every asset here is of oss."
    )
    status: Literal["Init", "Preparing", "PrepareFail", "Normal"] | None = Field(
        default=None, description="Assets of that status only; none is ever Init here."
    )
    start_time: UtcTime | None = Field(default=None, description="Assets made later than that.")
    end_time: UtcTime | None = Field(default=None, description="Assets made then or earlier.")
    sort_by: Literal["desc", "asc"] = Field(default="desc", description="By the time of creation.")
    include_file_basic_info: Flag = Field(default=False, description="Whether FileInfoList is shown.")
    max_results: Annotated[int, WholeNumber(1, 100)] = Field(
        default=10, description="The most assets of a page."
    )
    next_token: Annotated[str, Text(1024)] | None = Field(
        default=None, description="NextToken of the page before."
    )
    auth_timeout: Timeout = Field(default=3600, description=_TIMEOUT)


class BatchGetMediaInfosRequest(RequestModel):
    """Parameters of BatchGetMediaInfos."""

    media_ids: Names = Field(description=f"Ids of assets with commas, {_MOST_AT_ONCE} at the most.")
    addition_type: Names | None = Field(
        default=None,
        description="FileInfo, DynamicMetaData or both with a comma; there is no DynamicMetaData here.",
    )
    auth_timeout: Timeout = Field(default=3600, description=_TIMEOUT)


class MediaBasics(AnswerObject):
    """What IMS shows of an asset in every answer."""

    media_id: str = Field(description="The asset's id.")
    biz: str = Field(default="ICE", description="Always ICE.")
    source: str = Field(default="oss", description="Always oss.")
    input_url: str = Field(serialization_alias="InputURL", description="The object, as it was registered.")
    status: AssetStatus = Field(
        description="Preparing until its file was looked at; PrepareFail says that it cannot be understood."
    )
    code: str | None = Field(
        default=None, description="Why its file cannot be understood, or what holds that up. Not in IMS."
    )
    message: str | None = Field(
        default=None, description="The same in words, or why there are no pictures of it. Not in IMS."
    )
    media_type: MediaType | None = Field(
        default=None, description="image, video, audio or text; absent until that is known."
    )
    business_type: BusinessType = Field(description="What it is for.")
    title: str = Field(description="Its title.")
    description: str | None = Field(default=None, description="What it is about.")
    category: str | None = Field(default=None, description="The name of a category.")
    media_tags: str | None = Field(default=None, description="Its tags, with commas.")
    cover_url: str | None = Field(
        default=None, serialization_alias="CoverURL", description="As it was given, or a link to a still."
    )
    user_data: str | None = Field(default=None, description="The text of your own.")
    snapshots: str = Field(
        description="Stills that jobs have made for it, as JSON text (docs/media-assets.md)."
    )
    sprite_images: str = Field(description="Sheets, likewise.")
    create_time: UtcTime = Field(description="When it was registered.")
    modified_time: UtcTime = Field(description="When it was changed last.")


class MediaBasicInfo(MediaBasics):
    """An asset in a list, and in GetMediaInfo."""

    cate_id: int | None = Field(default=None, description="As it was given.")
    reference_id: str | None = Field(default=None, description="The id of your own.")
    upload_source: str = Field(default="general", description="Always general.")


class MediaInfo(AnswerObject):
    """An asset with its file."""

    media_id: str = Field(description="The asset's id.")
    media_basic_info: MediaBasicInfo = Field(description="What is told of it.")
    file_info_list: list[DatedMediaFileInfo] = Field(description="Empty until its file was looked at.")


class GetMediaInfoAnswer(Answer):
    """Answer of GetMediaInfo."""

    media_info: MediaInfo = Field(description="The asset.")


class ListedMediaInfo(AnswerObject):
    """An asset in a list."""

    media_id: str = Field(description="The asset's id.")
    media_basic_info: MediaBasicInfo = Field(description="What is told of it.")
    file_info_list: list[MediaFileSummary] | None = Field(
        default=None, description="The file; absent unless it was asked for."
    )


class ListMediaBasicInfosAnswer(Answer):
    """Answer of ListMediaBasicInfos."""

    media_infos: list[ListedMediaInfo] = Field(description="The assets of this page.")
    max_results: int = Field(description="The most assets of a page.")
    next_token: str | None = Field(default=None, description="Absent on the last page.")
    total_count: int = Field(description="How many there are in all.")


class BatchMediaInfo(AnswerObject):
    """An asset that was asked for by its id, among others."""

    media_id: str = Field(description="The asset's id.")
    media_basic_info: MediaBasics = Field(description="What is told of it.")
    file_info_list: list[MediaFileInfo] | None = Field(
        default=None, description="The file; absent unless it was asked for."
    )


class BatchGetMediaInfosAnswer(Answer):
    """Answer of BatchGetMediaInfos."""

    media_infos: list[BatchMediaInfo] = Field(description="Those that there are, in the order of the ids.")
    ignored_list: list[str] = Field(description="Ids of nothing.")
