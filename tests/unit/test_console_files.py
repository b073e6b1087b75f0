"""The console's files: those of others are what their table says, and every template can be read."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

from jinja2 import Environment, PackageLoader

from stillframe.console.registry import HOME, PAGES
from stillframe.console.static_files import StaticFiles
from stillframe.console.templating import bytes_text, duration_text, moment_text

STATIC = files("stillframe.console").joinpath("static")


TABLE = re.findall(
    r"^\| (\S+) \| .* \| (\d[\d.]+) \| .*?(\S+\.txt) \| ([0-9a-f]{64}) \|$",
    STATIC.joinpath("VENDORED.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_the_files_of_others_are_those_of_the_table() -> None:
    assert [name for name, *_ in TABLE] == ["htmx.min.js", "plyr.min.js", "plyr.css", "plyr.svg"]
    for name, version, licence, digest in TABLE:
        body = STATIC.joinpath(name).read_bytes()
        assert hashlib.sha256(body).hexdigest() == digest
        assert STATIC.joinpath(licence).is_file()
        if name.endswith(".js"):
            assert version.encode() in body
            assert b"sourceMappingURL" not in body


def test_our_own_files_are_small() -> None:
    others = {name for row in TABLE for name in (row[0], row[2])}
    own = [file for file in STATIC.iterdir() if file.name not in others]
    assert sum(len(file.read_bytes()) for file in own) < 150_000


def test_no_rule_of_the_style_sheet_is_left_open() -> None:
    depths = [0]
    for brace in re.findall(r"[{}]", STATIC.joinpath("console.css").read_text(encoding="utf-8")):
        depths.append(depths[-1] + (1 if brace == "{" else -1))
    assert (min(depths), max(depths), depths[-1]) == (0, 2, 0)


def test_every_template_can_be_read() -> None:
    environment = Environment(loader=PackageLoader("stillframe.console"), autoescape=True)
    static = StaticFiles()
    environment.filters |= dict.fromkeys(("bytes", "moment", "duration", "utc", "iso", "pretty"), str)
    names = environment.list_templates()
    assert "layout.html" in names
    for name in names:
        environment.get_template(name)
        source = files("stillframe.console").joinpath("templates", name).read_text(encoding="utf-8")
        for file in re.findall(r'static\("([^"]+)"\)', source):
            assert static.find(static.name(file)) is not None
        assert "| safe" not in source
        assert "|safe" not in source


def test_the_first_page_is_one_of_them_and_paths_are_told_apart() -> None:
    paths = [page.path for page in PAGES]
    assert HOME in paths
    assert len({(page.path, getattr(page, "method", "GET")) for page in PAGES}) == len(PAGES)


def test_numbers_as_people_read_them() -> None:
    assert [bytes_text(n) for n in (0, 999, 1000, 1_400_000, 5e9, 2e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.4 MB",
        "5.0 GB",
        "2.0 TB",
    ]
    assert [moment_text(n) for n in (0, 500, 65_000, 3_723_042)] == [
        "0:00",
        "0:00.500",
        "1:05",
        "1:02:03.042",
    ]
    assert [duration_text(n) for n in (0.34, 12.34, 12, 250, 240, 7260, 7200)] == [
        "340 ms",
        "12.3 s",
        "12 s",
        "4 min 10 s",
        "4 min",
        "2 h 1 min",
        "2 h",
    ]
