"""Inputs and outputs of jobs, in requests and in answers."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field

from stillframe.ims.action import AnswerObject, RequestModel
from stillframe.ims.fields import Text
from stillframe.service.ports import Address

#: a bucket of 63 and a key of 1,023 bytes, each byte percent-encoded, and a host name
LONGEST_ADDRESS = 4096


class MediaAddress(RequestModel):
    """Where a video is read, or where pictures are written."""

    type: Literal["OSS", "Media"] = Field(
        description="OSS: Media is the URL of an object. Media: it is the id of a media asset."
    )
    media: Annotated[str, Text(LONGEST_ADDRESS)] = Field(
        description="oss://bucket/object or http(s)://bucket.oss-region.aliyuncs.com/object, or the id."
    )


class OssFile(AnswerObject):
    """An object in a bucket."""

    bucket: str = Field(description="The name of the bucket.")
    location: str = Field(description="oss- and the region of the bucket")
    object: str = Field(description="The key.")


class MediaAddressView(AnswerObject):
    """An input or output as lists show it."""

    type: str = Field(description="OSS or Media")
    media: str = Field(description="The address, or the id of the media asset.")


class MediaAddressDetails(MediaAddressView):
    """An input or output with the object that it means."""

    oss_file: OssFile = Field(description="The object that is meant.")


def input_view(address: Address) -> MediaAddressView:
    """An input, as it was written at submit."""
    return MediaAddressView(type=address.type, media=address.media)


def output_view(address: Address) -> MediaAddressView:
    """An output, as an http URL with its placeholders left in, which is how IMS shows it; an asset by its id."""
    return MediaAddressView(type=address.type, media=_shown(address))


def input_details(address: Address) -> MediaAddressDetails:
    """An input with its object."""
    return MediaAddressDetails(type=address.type, media=address.media, oss_file=_oss_file(address))


def output_details(address: Address) -> MediaAddressDetails:
    """An output with its object."""
    return MediaAddressDetails(type=address.type, media=_shown(address), oss_file=_oss_file(address))


def _oss_file(address: Address) -> OssFile:
    return OssFile(bucket=address.bucket, location=f"oss-{address.region}", object=address.key)


def _shown(address: Address) -> str:
    return address.media if address.type == "Media" else http_url(address)


def http_url(address: Address) -> str:
    """The URL of an object at OSS itself, as IMS would show it."""
    return f"http://{address.bucket}.oss-{address.region}.aliyuncs.com/{quote(address.key, safe='/-_.~{}')}"
