"""A track that breaks no rule, and for each rule of the lint a track that breaks it."""

from __future__ import annotations

from dataclasses import dataclass

GOOD = """\
WEBVTT

00:00:00.000 --> 00:00:05.000
sheet-1.jpg#xywh=0,0,160,90

00:00:05.000 --> 00:00:10.000
sheet-1.jpg#xywh=160,0,160,90

00:00:10.000 --> 00:00:15.000
sheet-2.jpg#xywh=0,0,160,90
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A track that breaks the rule `slug`, first on `line`, and the rules `also`.

    `meant` is the track that its author meant, and that every player that is not hurt reads in it; None where
    the cues do not tell. `size` is that of all its images, None when they are missing.
    """

    slug: str
    line: int
    data: bytes
    meant: str | None = GOOD
    also: tuple[str, ...] = ()
    size: tuple[int, int] | None = (320, 90)


def _changed(
    slug: str,
    line: int,
    old: str,
    new: str,
    *,
    meant: str | None = GOOD,
    itself: bool = False,
    also: tuple[str, ...] = (),
    every: bool = False,
) -> Sample:
    """GOOD with `old` replaced by `new`, once or everywhere; `itself` says that it means what it says."""
    assert old in GOOD, old
    text = GOOD.replace(old, new) if every else GOOD.replace(old, new, 1)
    return Sample(slug, line, text.encode(), text if itself else meant, also)


SECOND = "00:00:05.000 --> 00:00:10.000\nsheet-1.jpg#xywh=160,0,160,90\n"

SAMPLES = [
    Sample("empty-file", 1, b""),
    Sample("empty-file", 1, b" \n\n"),
    Sample(
        "not-utf-8",
        1,
        GOOD.replace("sheet", "bébé").encode("latin-1"),
        GOOD.replace("sheet", "b%C3%A9b%C3%A9"),
    ),
    Sample("not-utf-8", 1, GOOD.encode("utf-16"), also=("header", "header-lines", "no-cues")),
    Sample("byte-order-mark", 1, b"\xef\xbb\xbf" + GOOD.encode()),
    _changed("header", 1, "WEBVTT", "WebVTT"),
    _changed("header", 1, "WEBVTT", "WEBVTTX"),
    _changed("header", 1, "WEBVTT\n\n", ""),
    _changed("header", 1, "WEBVTT", "\n\nWEBVTT", also=("stray-text",)),
    _changed("header-lines", 2, "WEBVTT\n", "WEBVTT\nKind: metadata\n"),
    Sample("crlf", 1, GOOD.replace("\n", "\r\n").encode()),
    _changed("crowded", 2, "WEBVTT\n\n", "WEBVTT\n"),
    _changed("crowded", 5, "90\n\n", "90\n"),
    _changed("blank-lines", 2, "WEBVTT\n\n", "WEBVTT\n\n\n"),
    _changed("blank-lines", 5, "90\n\n", "90\n\n\n"),
    _changed("whitespace-line", 5, "90\n\n", "90\n \n"),
    Sample("no-cues", 1, b"WEBVTT\n"),
    _changed("cue-identifier", 6, SECOND, f"2\n{SECOND}"),
    _changed("comment", 6, SECOND, f"NOTE made by hand\n\n{SECOND}"),
    _changed("comment", 3, "WEBVTT\n\n", "WEBVTT\n\nSTYLE\n::cue {}\n\n"),
    _changed("stray-text", 6, SECOND, f"by hand\n\n{SECOND}"),
    _changed("timing-line", 3, " --> ", "-->", every=True),
    _changed("timing-line", 6, SECOND, SECOND.replace(" --> ", "  -->  ")),
    _changed("timing-line", 6, SECOND, " " + SECOND),
    _changed("cue-settings", 6, SECOND, SECOND.replace("10.000", "10.000 align:start")),
    _changed("cue-settings", 6, SECOND, SECOND.replace("10.000", "10.000 ")),
    _changed("comma", 3, ".000", ",000", every=True),
    _changed("timestamp", 6, SECOND, SECOND.replace("00:00:10.000", "10"), also=("gap",)),
    _changed("timestamp", 6, SECOND, SECOND.replace("00:00:10.000", "0:10.000")),
    _changed("timestamp", 6, SECOND, SECOND.replace("10.000", "10.00")),
    _changed("timestamp", 6, SECOND, SECOND.replace("10.000", "10")),
    _changed("timestamp", 6, SECOND, SECOND.replace("10.000", "soon"), also=("gap",)),
    _changed("timestamp", 9, "00:15.000", "00:75.000", meant=GOOD.replace("00:15.000", "01:15.000")),
    _changed("hundred-hours", 9, "00:00:15.000", "100:00:00.000", itself=True),
    _changed("sub-second", 3, "00:05.000", "00:05.500", itself=True, every=True),
    _changed("sub-second", 3, "00:05.000", "00:00.600", itself=True, every=True),
    _changed("end-before-start", 9, "00:15.000", "00:09.000"),
    _changed("end-before-start", 9, "00:15.000", "00:10.000"),
    _changed("first-start", 3, "00:00:00.000", "00:00:01.000", meant=None),
    _changed("unsorted", 6, "00.000 --> 00:00:05", "20.000 --> 00:00:25", meant=None, also=("first-start",)),
    _changed("overlap", 6, "--> 00:00:05.000", "--> 00:00:07.000", meant=None),
    _changed("gap", 6, "--> 00:00:05.000", "--> 00:00:04.000", meant=None),
    _changed("payload-missing", 9, "sheet-2.jpg#xywh=0,0,160,90\n", ""),
    _changed("payload-lines", 5, "0,0,160,90\n", "0,0,160,90\nshot 1\n"),
    _changed("xywh-missing", 10, "sheet-2.jpg#xywh=0,0,160,90", "sheet-2.jpg", itself=True),
    _changed("xywh-unit", 4, "#xywh=0", "#xywh=pixel:0"),
    _changed("xywh-unit", 4, "#xywh=0,0,160,90", "#xywh=percent:0,0,50,100"),
    _changed("xywh-numbers", 4, "#xywh=0,0,160,90", "#xywh=0,0,160"),
    _changed("xywh-numbers", 4, "#xywh=0,0,160,90", "#xywh=0,0,160,90,5"),
    _changed("xywh-numbers", 4, "#xywh=0,0,160,90", "#xywh=0,0,160.0,90"),
    _changed("xywh-numbers", 4, "#xywh=0,0,160,90", "#xywh=0.5,0,160.5,90", itself=True),
    _changed("xywh-numbers", 4, "#xywh=0,0,160,90", "#xywh=0,0,0,90", also=("mixed-sizes",)),
    _changed("xywh-spaces", 4, "#xywh=0,0,160,90", "#xywh=0, 0, 160, 90"),
    _changed("url-missing", 4, "sheet-1.jpg#xywh", "#xywh"),
    _changed("url-hash", 4, "sheet-1", "sheet#1", meant=GOOD.replace("sheet-1", "sheet%231", 1)),
    _changed("url-hash", 10, "sheet-2.jpg#xywh", "sheet-2.jpg#t=1&xywh", also=("xywh-missing",)),
    _changed("url-characters", 4, "sheet-1", "sheet 1", meant=GOOD.replace("sheet-1", "sheet%201", 1)),
    _changed("url-characters", 4, "sheet-1", "sheet(1)", itself=True),
    _changed("url-percent", 4, "sheet-1", "100%", itself=True),
    _changed("url-scheme", 4, "sheet-1", "s1:e2", meant=GOOD.replace("sheet-1", "./s1:e2", 1)),
    _changed("root-path", 4, "sheet-", "/shows/sheet-", every=True),
    _changed("double-slash", 4, "sheet-1.jpg", "sheet-1.jpg?of=a//b", itself=True),
    _changed("mixed-addresses", 10, "sheet-2", "https://videos.test/shows/sheet-2"),
    _changed("mixed-addresses", 7, "sheet-1", "https://videos.test/shows/sheet-1"),
    _changed("mixed-sizes", 7, "160,0,160,90", "160,0,120,90", meant=None),
    Sample("image-missing", 4, GOOD.encode(), None, size=None),
    Sample("outside-image", 7, GOOD.encode(), None, size=(319, 90)),
    Sample("outside-image", 4, GOOD.encode(), None, size=(320, 89)),
    Sample("large-image", 4, GOOD.encode(), None, size=(8193, 90)),
    Sample("large-image", 4, GOOD.encode(), None, size=(8192, 2049)),
]
