"""Values of media assets: what parameters may be, what is guessed of a file, and how facts are spelled."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from stillframe.errors import ConfigError, MediaError
from stillframe.ims import media_spelling
from stillframe.ims.registry import ACTIONS
from stillframe.media.media_facts import AudioFacts
from stillframe.media.picture_facts import PictureFacts, picture_facts
from stillframe.media.source import MemorySource
from stillframe.service.assets import tags_of
from stillframe.service.errors import ApiError
from stillframe.service.media_types import media_type_of

URL = "oss://bucket/movie.mp4"


def parse(action: str, **parameters: str) -> Any:
    return ACTIONS[action].parse(parameters)


@pytest.mark.parametrize(
    ("action", "parameters", "word"),
    [
        ("RegisterMediaInfo", {"Title": "é" * 65}, "128 bytes"),
        ("RegisterMediaInfo", {"Description": "x" * 1025}, "1024 bytes"),
        ("RegisterMediaInfo", {"CoverURL": "x" * 129}, "128 bytes"),
        ("RegisterMediaInfo", {"UserData": "x" * 1025}, "1024 bytes"),
        ("RegisterMediaInfo", {"ClientToken": "x" * 33}, "32 bytes"),
        ("RegisterMediaInfo", {"ReferenceId": "short"}, "6 to 64"),
        ("RegisterMediaInfo", {"ReferenceId": "x" * 65}, "6 to 64"),
        ("RegisterMediaInfo", {"ReferenceId": "with space"}, "6 to 64"),
        ("RegisterMediaInfo", {"MediaType": "film"}, "image, video, audio, text"),
        ("RegisterMediaInfo", {"BusinessType": "film"}, "subtitles"),
        ("RegisterMediaInfo", {"CateId": str(1 << 63)}, "a whole number"),
        ("RegisterMediaInfo", {"CateId": "9" * 5000}, "a whole number"),
        ("RegisterMediaInfo", {"Overwrite": "yes"}, "true or false"),
        ("RegisterMediaInfo", {"RegisterConfig": "[]"}, "a JSON object"),
        ("RegisterMediaInfo", {"RegisterConfig": '{"NeedSprites":false}'}, "did you mean"),
        ("RegisterMediaInfo", {"RegisterConfig": '{"CoverConfig":{"StartTime":-1}}'}, "seconds"),
        ("RegisterMediaInfo", {"RegisterConfig": '{"CoverConfig":{"StartTime":1.00001}}'}, "four decimals"),
        ("RegisterMediaInfo", {"RegisterConfig": '{"CoverConfig":{"StartTime":1e9}}'}, "seconds"),
        ("RegisterMediaInfo", {"RegisterConfig": '{"CoverConfig":{"StartTime":1000000}}'}, "a million"),
        ("GetMediaInfo", {"ReturnDetailedInfo": '{"Other":true}'}, "no such parameter"),
        ("GetMediaInfo", {"OutputType": "ftp"}, "oss, cdn"),
        ("GetMediaInfo", {"AuthTimeout": "86401"}, "1 to 86400"),
        ("UpdateMediaInfo", {"Category": "x" * 65}, "64 bytes"),
        ("UpdateMediaInfo", {"AppendTags": "1"}, "true or false"),
        ("DeleteMediaInfos", {"MediaIds": ",".join(map(str, range(101)))}, "at most 100"),
        ("DeleteMediaInfos", {"InputURLs": ",".join(f"oss://b/{n}" for n in range(101))}, "at most 100"),
        ("ListMediaBasicInfos", {"MaxResults": "101"}, "1 to 100"),
        ("ListMediaBasicInfos", {"MaxResults": "0"}, "1 to 100"),
        ("ListMediaBasicInfos", {"StartTime": "2026-11-22"}, "a time in UTC"),
        ("ListMediaBasicInfos", {"SortBy": "down"}, "desc, asc"),
        ("ListMediaBasicInfos", {"Status": "Ready"}, "PrepareFail"),
        ("BatchGetMediaInfos", {"MediaIds": ",".join(map(str, range(101)))}, "at most 100"),
    ],
)
def test_what_is_refused(action: str, parameters: dict[str, str], word: str) -> None:
    given = {"InputURL": URL} | parameters if action == "RegisterMediaInfo" else parameters
    with pytest.raises(ApiError) as caught:
        parse(action, **given)
    assert caught.value.code == "InvalidParameter"
    assert word in caught.value.message
    assert next(iter(parameters)) in caught.value.message


def test_all_of_register() -> None:
    request = parse(
        "RegisterMediaInfo",
        InputURL=URL,
        Title="é" * 64,
        CateId="-3",
        Overwrite="TRUE",
        ReferenceId="Ab-_09",
        RegisterConfig='{"NeedSprite":"false","NeedSnapshot":true,"CoverConfig":"{\\"StartTime\\":\\"12.25\\"}"}',
    )
    config = request.register_config
    assert (config.need_sprite, config.need_snapshot, config.cover_config.start_time) == (False, True, 12.25)
    assert (request.overwrite, request.cate_id, request.reference_id) == (True, -3, "Ab-_09")


@pytest.mark.parametrize("number", [-(1 << 63), (1 << 63) - 1])
def test_the_ends_of_64_bits_are_in_range(number: int) -> None:
    assert parse("RegisterMediaInfo", InputURL=URL, CateId=str(number)).cate_id == number


def test_lists_of_names() -> None:
    request = parse("DeleteMediaInfos", MediaIds=" a, b,,a", InputURLs="oss://b/c")
    assert (request.media_ids, request.input_urls) == (["a", "b"], ["oss://b/c"])
    assert request.delete_physical_files is False


@pytest.mark.parametrize(
    ("listed", "urls"),
    [
        (
            "oss://b/c, OSS://b/d,https://b.oss-r.aliyuncs.com/e",
            ["oss://b/c", "OSS://b/d", "https://b.oss-r.aliyuncs.com/e"],
        ),
        (" oss://b/c ,oss://b/c", ["oss://b/c ", "oss://b/c"]),
        ("oss://b/c,d.mp4,oss://b/e,", ["oss://b/c,d.mp4", "oss://b/e,"]),
        ("nonsense,oss://b/c", ["nonsense", "oss://b/c"]),
        (",", [","]),
    ],
)
def test_lists_of_addresses_name_what_they_say(listed: str, urls: list[str]) -> None:
    """A name that is a little shorter may be another asset's, which would be removed instead."""
    assert parse("DeleteMediaInfos", InputURLs=listed).input_urls == urls


@pytest.mark.parametrize(
    ("text", "tags"),
    [("a,b", ["a", "b"]), (" a , b ,a,", ["a", "b"]), ("", []), ("é" * 16, ["é" * 16])],
)
def test_tags(text: str, tags: list[str]) -> None:
    assert tags_of(text) == tags


@pytest.mark.parametrize("text", ["x" * 33, "é" * 17, ",".join(map(str, range(17)))])
def test_tags_that_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="MediaTags"):
        tags_of(text)


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("a/b.MP4", "video"),
        ("a.mkv", "video"),
        ("a.mp3", "audio"),
        ("a.webp", "image"),
        ("a.srt", None),
        ("mp4", None),
        (".mp4", None),
        ("a.mp4/b", None),
    ],
)
def test_what_a_name_tells(key: str, kind: str | None) -> None:
    assert media_type_of(key) == kind


PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 31, 17)


@pytest.mark.parametrize(
    ("head", "facts"),
    [
        (PNG, ("png", 31, 17)),
        (PNG[:20], ("png", None, None)),
        (b"GIF89a" + struct.pack("<HH", 31, 17), ("gif", 31, 17)),
        (b"GIF8", ("gif", None, None)),
        (b"BM" + bytes(16) + struct.pack("<ii", 31, -17), ("bmp", 31, 17)),
        (b"RIFF\0\0\0\0WEBPVP8 ", ("webp", None, None)),
        (b"\0\0\0\x1cftypavif", ("avif", None, None)),
        (b"\xff\xd8\xff\xc0" + struct.pack(">HBHH", 8, 8, 17, 31), ("jpeg", 31, 17)),
    ],
)
def test_what_the_first_bytes_of_a_picture_tell(
    head: bytes, facts: tuple[str, int | None, int | None]
) -> None:
    assert picture_facts(MemorySource(head)) == PictureFacts(*facts)


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty"), (b"no picture", "not-picture")])
def test_what_is_no_picture(data: bytes, reason: str) -> None:
    with pytest.raises(MediaError) as caught:
        picture_facts(MemorySource(data))
    assert caught.value.reason == reason


def test_how_facts_are_spelled() -> None:
    assert media_spelling.seconds(12_480_000) == "12.480000"
    assert media_spelling.seconds(-21_333) == "-0.021333"
    assert media_spelling.kilobits(1_193_204) == "1193.204"
    assert media_spelling.rate((30_000, 1001)) == "29.97"
    assert media_spelling.rate((25, 1)) == "25.0"
    assert media_spelling.fraction((1, 12_800)) == "1/12800"
    assert media_spelling.aspect((16, 9)) == "16:9"
    assert media_spelling.text(0) == "0"
    for spell in (
        media_spelling.seconds,
        media_spelling.kilobits,
        media_spelling.rate,
        media_spelling.fraction,
    ):
        assert spell(None) is None


@pytest.mark.parametrize(
    ("number", "told"), [(0x6134706D, ("0x6134706d", "mp4a")), (None, ("0x0000", "[0][0][0][0]"))]
)
def test_how_tags_are_spelled(number: int | None, told: tuple[str, str]) -> None:
    common = (0, "aac", "AAC", number, (1, 48_000), None, None, None, None, None, None, None)
    assert media_spelling.tag(AudioFacts(*common, 1, None, None, 48_000)) == told
