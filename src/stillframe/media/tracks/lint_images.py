"""Lint rules about what a cue shows: the address of the image, the part of it, and the image itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from stillframe.media.tracks.lint_rule import (
    ALL,
    ARTPLAYER,
    FLUID,
    MEDIA_CHROME,
    PLYR,
    SHAKA,
    VIDEOJS,
    VIDSTACK,
    Breaches,
    RuleTable,
    Subject,
    shown,
)
from stillframe.media.tracks.vtt_text import Payload, Rectangle

#: Larger sheets stay blank in browsers and televisions with small textures.
MAX_SIDE_PX = 8192
MAX_AREA_PX = 16 * 1024 * 1024

_table = RuleTable()


@_table.rule("payload-missing", "error", ALL)
def _payload_missing(subject: Subject) -> Breaches:
    """A cue without a line under its timing line shows nothing."""
    for cue in subject.track.cues:
        if not cue.payload:
            yield cue.line, "no image under the timing line"


@_table.rule("payload-lines", "error", (VIDSTACK, ARTPLAYER, MEDIA_CHROME))
def _payload_lines(subject: Subject) -> Breaches:
    """A cue has one line: its image."""
    for cue in subject.track.cues:
        for payload in cue.payload[1:]:
            yield payload.line, f"{shown(payload.text)} is a second line in the cue"


@_table.rule("xywh-missing", "error", (ARTPLAYER, MEDIA_CHROME, FLUID))
def _xywh_missing(subject: Subject) -> Breaches:
    """Without #xywh these players stop or guess a size."""
    for image in _images(subject):
        if image.region is None:
            yield image.line, f"{shown(image.text)} does not end in #xywh=x,y,width,height"


@_table.rule("xywh-unit", "error", ALL)
def _xywh_unit(subject: Subject) -> Breaches:
    """The prefixes pixel: and percent: of media fragments are read by no player."""
    for image in _images(subject):
        if image.region is not None and re.match(r"(?:pixel|percent):", image.region):
            yield image.line, f"{shown(image.region)} has a unit; write four numbers of pixels"


@_table.rule("xywh-numbers", "error", ALL)
def _xywh_numbers(subject: Subject) -> Breaches:
    """The region is four whole numbers, the last two at least 1."""
    for image in _images(subject):
        if image.region is None or re.match(r"(?:pixel|percent):", image.region):
            continue
        if image.rectangle is None or 0 in image.rectangle[2:]:
            yield image.line, f"{shown(image.region)} is not x,y,width,height in whole pixels"


@_table.rule("xywh-spaces", "error", (ARTPLAYER,))
def _xywh_spaces(subject: Subject) -> Breaches:
    """ArtPlayer puts the numbers into CSS as they are, which reads no `- 160px`."""
    for image in _images(subject):
        if image.region is not None and re.search(r"\s", image.region):
            yield image.line, f"{shown(image.region)} holds spaces"


@_table.rule("url-missing", "error", ALL)
def _url_missing(subject: Subject) -> Breaches:
    """A region without an image shows nothing."""
    for image in _images(subject):
        if not image.url.strip():
            yield image.line, "there is no image before #xywh"


@_table.rule("url-hash", "error", ALL)
def _url_hash(subject: Subject) -> Breaches:
    """Only #xywh may follow a #; in names it is %23."""
    for image in _images(subject):
        if "#" in image.url:
            yield image.line, f"{shown(image.url)} holds a #, which only #xywh may; in names write %23"


@_table.rule("url-characters", "error", (ARTPLAYER, FLUID))
def _url_characters(subject: Subject) -> Breaches:
    """Spaces, quotes and brackets end an address in CSS url()."""
    for image in _images(subject):
        wrong = re.search(r"[\x00-\x20\x7f\"'()<>\\]", image.url)
        if wrong:
            yield image.line, f"{shown(image.url)} holds {shown(wrong.group())}; percent-encode it"


@_table.rule("url-percent", "warning", ())
def _url_percent(subject: Subject) -> Breaches:
    """A % that begins no %XX is refused by many servers; in names it is %25."""
    for image in _images(subject):
        if re.search(r"%(?![0-9A-Fa-f]{2})", image.url):
            yield image.line, f"{shown(image.url)} holds a bare %; write it as %25"


@_table.rule("url-scheme", "error", (VIDSTACK, MEDIA_CHROME, SHAKA))
def _url_scheme(subject: Subject) -> Breaches:
    """A colon in the first part of a name makes it an address of its own kind."""
    for image in _images(subject):
        scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", image.url)
        if scheme and scheme.group(1).lower() not in ("http", "https"):
            yield image.line, f"{shown(image.url)} reads as an address of scheme {shown(scheme.group(1))}"


@_table.rule("root-path", "error", (VIDEOJS, FLUID))
def _root_path(subject: Subject) -> Breaches:
    """These players glue /path onto the folder of the track."""
    for image in _images(subject):
        if image.url.startswith("/") and not image.url.startswith("//"):
            yield image.line, f"{shown(image.url)} begins with /; write it relative to the track"


@_table.rule("double-slash", "error", (VIDEOJS,))
def _double_slash(subject: Subject) -> Breaches:
    """With // anywhere in it, a relative name is taken for a whole address."""
    for image in _images(subject):
        if "//" in image.url and not _is_absolute(image.url):
            yield image.line, f"{shown(image.url)} holds //"


@_table.rule("mixed-addresses", "error", (PLYR, FLUID))
def _mixed_addresses(subject: Subject) -> Breaches:
    """Plyr decides by the first cue, Fluid Player by a setting, whether all addresses are relative."""
    first: bool | None = None
    for image in _images(subject):
        absolute = image.url.startswith(("/", "http://", "https://"))
        if first is None:
            first = absolute
        elif absolute != first:
            yield (
                image.line,
                f"{shown(image.url)} is {_kind(absolute)}, but the first cue's is {_kind(first)}",
            )


@_table.rule("mixed-sizes", "warning", (PLYR,))
def _mixed_sizes(subject: Subject) -> Breaches:
    """Plyr takes the shape of the preview from the first cue."""
    first: tuple[int, int] | None = None
    for image, (_, _, width, height) in _rectangles(subject):
        if first is None:
            first = (width, height)
        elif (width, height) != first:
            yield image.line, f"this part is {width}x{height}, the first one {first[0]}x{first[1]}"


@_table.rule("image-missing", "error", ALL)
def _image_missing(subject: Subject) -> Breaches:
    """The image that a cue names must be there, and be a JPEG or PNG."""
    for image, size in _sized(subject):
        if size is None:
            yield image.line, f"{shown(image.url)} is missing, or no image"


@_table.rule("outside-image", "error", ALL)
def _outside_image(subject: Subject) -> Breaches:
    """A part that reaches outside of its image shows nothing there."""
    for image, size in _sized(subject):
        if size is None or image.rectangle is None:
            continue
        x, y, width, height = image.rectangle
        if x + width > size[0] or y + height > size[1]:
            yield (
                image.line,
                f"{x},{y},{width},{height} reaches outside of the image of {size[0]}x{size[1]} pixels",
            )


@_table.rule("large-image", "warning", ())
def _large_image(subject: Subject) -> Breaches:
    """Sheets above 8,192 pixels a side or 16 Mpx stay blank on weak devices."""
    told: set[str] = set()
    for image, size in _sized(subject):
        if size is None or image.url in told:
            continue
        told.add(image.url)
        width, height = size
        if max(width, height) > MAX_SIDE_PX or width * height > MAX_AREA_PX:
            yield image.line, f"{shown(image.url)} has {width}x{height} pixels"


def _images(subject: Subject) -> Iterator[Payload]:
    return (cue.payload[0] for cue in subject.track.cues if cue.payload)


def _rectangles(subject: Subject) -> Iterator[tuple[Payload, Rectangle]]:
    return ((image, image.rectangle) for image in _images(subject) if image.rectangle is not None)


def _sized(subject: Subject) -> Iterator[tuple[Payload, tuple[int, int] | None]]:
    """The images that can be asked for, relative ones, with their sizes."""
    if subject.resolve is None:
        return
    for image in _images(subject):
        if _is_absolute(image.url) or image.url.startswith("/") or not image.url.strip():
            continue
        path = re.split(r"[?#]", image.url, maxsplit=1)[0]
        # As `webvtt.write` does it: the bytes of a name that is not UTF-8 come back as they were.
        yield image, subject.resolve(unquote(path, errors="surrogateescape"))


def _is_absolute(url: str) -> bool:
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|//", url) is not None


def _kind(absolute: bool) -> str:
    return "absolute" if absolute else "relative"


RULES = _table.rules
