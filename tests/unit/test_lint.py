"""Every rule of the lint fires where it should, on the line where it should, and nowhere else."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lint_samples import GOOD, SAMPLES, Sample
from PIL import Image

from stillframe.errors import SourceError
from stillframe.media.tracks import lint_rule
from stillframe.media.tracks.image_size import image_size
from stillframe.media.tracks.lint import MAX_PER_RULE, MAX_TRACK_BYTES, RULES, lint, lint_file
from stillframe.media.tracks.webvtt import Cue, cue_spans, write

BY_SLUG = {rule.slug: rule for rule in RULES}
SHEET = (320, 90)


def _name(sample: Sample) -> str:
    return f"{sample.slug}-{SAMPLES.index(sample)}"


@pytest.mark.parametrize("sample", SAMPLES, ids=_name)
def test_a_broken_track_breaks_its_rule_and_no_other(sample: Sample) -> None:
    findings = lint(sample.data, resolve=lambda _: sample.size)
    assert {finding.rule for finding in findings} == {sample.slug, *sample.also}
    first = next(finding for finding in findings if finding.rule == sample.slug)
    assert first.line == sample.line
    assert (first.severity, first.players) == (BY_SLUG[sample.slug].severity, BY_SLUG[sample.slug].players)
    assert first.message.isprintable()


def test_every_rule_has_a_sample() -> None:
    assert {sample.slug for sample in SAMPLES} == set(BY_SLUG)


def test_the_table_of_rules_can_be_printed() -> None:
    assert len(BY_SLUG) == len(RULES)
    for rule in RULES:
        assert rule.explanation.endswith("."), rule.slug
        assert "\n" not in rule.explanation, rule.slug
        assert set(rule.players) <= set(lint_rule.ALL), rule.slug
        assert rule.severity == "warning" or rule.players, f"{rule.slug} is an error that hurts nobody"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GOOD, id="the dialect itself"),
        pytest.param(GOOD.rstrip("\n"), id="without a newline at the end"),
        pytest.param(GOOD + "\n\n", id="blank lines at the end"),
        pytest.param(GOOD.replace("90\n\n", "90\n\n\n\n"), id="three blank lines in a row"),
        pytest.param(GOOD.replace("WEBVTT", "WEBVTT - thumbnails"), id="a title"),
        pytest.param(GOOD.replace(" 00:00:", " 00:").replace("\n00:00:", "\n00:"), id="no hours"),
        pytest.param(GOOD.replace("00:00:15", "99:59:59"), id="99 hours"),
        pytest.param(GOOD.replace("sheet", "a/b/sheet"), id="images in a folder below"),
        pytest.param(GOOD.replace("sheet", "../images/sheet"), id="images in a folder beside"),
        pytest.param(GOOD.replace("sheet", "./sheet"), id="a dot before the name"),
        pytest.param(GOOD.replace("sheet", "12:30-sheet"), id="a colon that begins no scheme"),
        pytest.param(GOOD.replace("sheet", "a%20b%23"), id="percent-encoded names"),
        pytest.param(GOOD.replace(".jpg", ".jpg?v=2&w=160"), id="a query"),
        pytest.param(GOOD.replace("sheet", "https://host/a/sheet"), id="whole addresses"),
        pytest.param(
            GOOD.replace(".jpg", ".jpg?u=a//b").replace("sheet", "https://h/s"), id="// in their query"
        ),
        pytest.param(GOOD.replace("sheet", "//host/sheet"), id="addresses without a scheme"),
        pytest.param(GOOD.replace("sheet", "vidéo"), id="letters that are not ASCII"),
    ],
)
def test_what_all_players_read_has_no_findings(text: str) -> None:
    assert lint(text.encode(), resolve=lambda _: SHEET) == []


@pytest.mark.parametrize(
    ("line", "size", "rules"),
    [
        ("a.jpg#xywh=0,0,320,90", (320, 90), []),
        ("a.jpg#xywh=0,0,321,90", (320, 90), ["outside-image"]),
        ("a.jpg#xywh=0,1,320,90", (320, 90), ["outside-image"]),
        ("a.jpg#xywh=0,0,320,90", (8192, 2048), []),
        ("a.jpg#xywh=0,0,320,90", (8193, 100), ["large-image"]),
        ("a.jpg#xywh=0,0,320,90", (100_000, 1), ["outside-image", "large-image"]),
    ],
)
def test_the_part_of_the_image(line: str, size: tuple[int, int], rules: list[str]) -> None:
    track = f"WEBVTT\n\n00:00:00.000 --> 00:00:05.000\n{line}\n"
    assert [finding.rule for finding in lint(track.encode(), resolve=lambda _: size)] == rules


def test_images_are_asked_for_once_and_decoded() -> None:
    asked = []

    def resolve(name: str) -> tuple[int, int]:
        asked.append(name)
        return SHEET

    text = GOOD.replace("sheet-1.jpg", "vid%C3%A9o%20%231/a.jpg?v=2").replace("sheet-2", "caf%E9")
    assert lint(text.encode(), resolve=resolve) == []
    assert asked == ["vidéo #1/a.jpg", "caf\udce9.jpg"]


def test_only_relative_images_are_asked_for() -> None:
    def resolve(name: str) -> tuple[int, int] | None:
        raise AssertionError(name)

    for prefix in ("https://host/", "//host/", "/root/", "data:"):
        lint(GOOD.replace("sheet", f"{prefix}sheet").encode(), resolve=resolve)


def test_a_rule_broken_everywhere_is_told_a_few_times_and_counted() -> None:
    cues = [Cue(k * 500, k * 500 + 500, "a.jpg", 0, 0, 160, 90) for k in range(100)]
    findings = lint(write(cues).encode())
    assert [finding.rule for finding in findings] == ["sub-second"] * MAX_PER_RULE
    assert findings[-1].message.endswith("(and on 90 more lines)")


@pytest.mark.parametrize("interval_ms", [1000, 1500, 2000, 10_000])
@pytest.mark.parametrize("duration_ms", [1, 999, 4040, 61_234])
def test_our_tracks_on_whole_seconds_are_clean(interval_ms: int, duration_ms: int) -> None:
    moments = list(range(0, duration_ms, interval_ms))
    spans = cue_spans(
        moments,
        [True] * len(moments),
        interval_ms=interval_ms,
        duration_ms=duration_ms,
        runs_to_end=True,
    )
    cues = [Cue(start, end, "d/naïve – vidéo #1.jpg", 10 * k, 0, 160, 90) for k, start, end in spans]
    assert lint(write(cues).encode(), resolve=lambda _: (8192, 90)) == []


# Near-tracks find more than noise: lines that rules look at, in any order and any number.
pieces = st.sampled_from(
    [
        *(line.encode() for line in GOOD.splitlines()),
        *(
            b"\n",
            b"\r\n",
            b"\r",
            b" ",
            b"\x00",
            b"\xff",
            b"\xef\xbb\xbf",
            b"-->",
            b" --> ",
            b"#xywh=",
            b"#",
            b"%",
        ),
        *(
            b"NOTE",
            b"STYLE",
            b"REGION x",
            b"99:99:99.999",
            b"1:00",
            b",",
            b"//",
            b"http://h/",
            b"/",
            b"x:",
            b"9" * 50,
        ),
    ]
)


@given(data=st.one_of(st.binary(max_size=200), st.lists(pieces, max_size=40).map(b"".join)))
def test_no_data_makes_it_raise(data: bytes) -> None:
    line_count = len(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"))
    for resolve in (None, lambda _: None, lambda _: SHEET):
        for finding in lint(data, resolve=resolve):
            assert finding.rule in BY_SLUG
            assert 1 <= finding.line <= line_count
            assert finding.message.isprintable()


@given(line=st.integers(0, 13), cut=st.integers(0, 30), put=st.text(max_size=5))
def test_a_track_with_one_mangled_line_does_not_make_it_raise(line: int, cut: int, put: str) -> None:
    lines = GOOD.splitlines()
    lines[line % len(lines)] = lines[line % len(lines)][:cut] + put
    findings = lint("\n".join(lines).encode(errors="replace"), resolve=lambda _: SHEET)
    assert {finding.rule for finding in findings} <= set(BY_SLUG)


# Files


def _picture(suffix: str, size: tuple[int, int], **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, {"jpg": "JPEG", "png": "PNG", "gif": "GIF"}[suffix], **options)
    return out.getvalue()


def test_lint_file_reads_the_images_beside_the_track(tmp_path: Path) -> None:
    (tmp_path / "movie").mkdir()
    (tmp_path / "movie/naïve #1.jpg").write_bytes(_picture("jpg", (320, 90)))
    (tmp_path / "movie/2.png").write_bytes(_picture("png", (319, 90)))
    names = ["movie/naïve #1.jpg", "movie/2.png", "movie/3.jpg"]
    cues = [Cue(k * 1000, k * 1000 + 1000, name, 160, 0, 160, 90) for k, name in enumerate(names)]
    track = tmp_path / "movie.vtt"
    track.write_text(write(cues), encoding="utf-8", newline="")
    assert [(finding.rule, finding.line) for finding in lint_file(track)] == [
        ("outside-image", 7),
        ("image-missing", 10),
    ]


def test_lint_file_stays_in_the_folder_of_an_encoded_root(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(_picture("jpg", SHEET))
    track = tmp_path / "movie.vtt"
    encoded = str(tmp_path / "1.jpg").replace("/", "%2F")
    track.write_text(f"WEBVTT\n\n00:00:00.000 --> 00:00:05.000\n{encoded}#xywh=0,0,160,90\n")
    assert [finding.rule for finding in lint_file(track)] == ["image-missing"]


def test_lint_file_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        lint_file(tmp_path / "none.vtt")


def test_lint_file_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        lint_file(tmp_path)


def test_lint_file_of_a_video(tmp_path: Path) -> None:
    big = tmp_path / "movie.vtt"
    with big.open("wb") as file:
        file.truncate(MAX_TRACK_BYTES + 1)
    with pytest.raises(SourceError, match="larger than"):
        lint_file(big)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        pytest.param(_picture("jpg", (33, 7)), (33, 7), id="jpeg"),
        pytest.param(_picture("jpg", (33, 7), progressive=True), (33, 7), id="progressive"),
        pytest.param(_picture("jpg", (33, 7), exif=b"Exif\0\0" + bytes(60_000)), (33, 7), id="large exif"),
        pytest.param(b"\xff\xd8\xff\xff" + _picture("jpg", (33, 7))[3:], (33, 7), id="fill bytes"),
        pytest.param(
            b"\xff\xd8\xff\xc4\x00\x07\x00\x00\x01\x00\x01" + _picture("jpg", (33, 7))[2:],
            (33, 7),
            id="tables before the frame",
        ),
        pytest.param(_picture("png", (33, 7)), (33, 7), id="png"),
        pytest.param(_picture("gif", (33, 7)), None, id="another kind"),
        pytest.param(_picture("png", (33, 7))[:20], None, id="png cut off"),
        pytest.param(_picture("jpg", (33, 7))[:30], None, id="jpeg cut off"),
        pytest.param(b"\xff\xd8\xff\xda" + bytes(50), None, id="pixels before the frame"),
        pytest.param(b"\xff\xd8" + b"\xff\xe0" + b"\x00\x02", None, id="ends after a segment"),
        pytest.param(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 5000, None, id="endless segments"),
        pytest.param(b"\xff\xd8" + b"\xff" * 5000, None, id="endless fill"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_image_size(tmp_path: Path, data: bytes, size: tuple[int, int] | None) -> None:
    path = tmp_path / "picture"
    path.write_bytes(data)
    assert image_size(path) == size


@pytest.mark.parametrize("name", ["none.jpg", ".", "a\0b.jpg", "x" * 5000])
def test_image_size_of_no_file(tmp_path: Path, name: str) -> None:
    assert image_size(tmp_path / name) is None


@given(data=st.binary(max_size=300))
def test_image_size_of_garbage(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "garbage.jpg"
    path.write_bytes(b"\xff\xd8" + data)
    size = image_size(path)
    assert size is None or (0 <= size[0] <= 65535 and 0 <= size[1] <= 65535)
