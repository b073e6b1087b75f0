"""The page New job as a browser has it: its form, the moments that it lists, and the pictures of its strip."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import httpx
import numpy as np
from PIL import Image

from console_client import Visitor


class _Fields(HTMLParser):
    """What a browser would send of the form `new-job`."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[str, str] = {}
        self._select: str | None = None
        self._is_inside = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self._is_inside |= values.get("id") == "new-job"
        if not self._is_inside:
            return
        if tag == "input" and "name" in values:
            self.sent[values["name"]] = values.get("value", "")
        if tag == "select":
            self._select = values["name"]
        if (
            tag == "option"
            and self._select is not None
            and ("selected" in values or self._select not in self.sent)
        ):
            self.sent[self._select] = values["value"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = None
        if tag == "form":
            self._is_inside = False


def fields(page: httpx.Response, **changes: str) -> dict[str, str]:
    """The form of a page, with some fields filled in otherwise; a dot is written as two underscores."""
    reader = _Fields()
    reader.feed(page.text)
    assert reader.sent, page.text
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    assert changed.keys() <= reader.sent.keys()
    return reader.sent | changed


def moments(page: httpx.Response) -> list[tuple[int, str]]:
    """The moments that a page lists, in milliseconds, and what is to become of each."""
    assert page.status_code == 200, page.text
    found = re.findall(r'<li class="([a-z]+)"[^>]*><data value="(\d+)">', page.text)
    return [(int(ms), fate) for fate, ms in found]


def errors(page: httpx.Response) -> dict[str, str]:
    """What stands beside the fields that are wrong, by their names."""
    found = re.findall(r'<p class="error" id="about-([^"]+)"[^>]*>([^<]*)</p>', page.text)
    return {name: html.unescape(text) for name, text in found}


def submitted(visitor: Visitor, form: Mapping[str, str]) -> str:
    answer = visitor.post("/jobs/new", dict(form))
    assert answer.status_code == 303, answer.text
    return answer.headers["Location"].rpartition("/")[2]


def reported(job: Mapping[str, Any]) -> list[tuple[int, str]]:
    fates = {"Taken": "planned", "Replaced": "planned"}
    return [
        (shot["RequestedMs"], fates.get(shot["Status"], shot["Status"].lower()))
        for shot in job["Report"]["ShotList"]
    ]


def cells(visitor: Visitor, part: httpx.Response) -> list[np.ndarray]:
    """The pictures of a strip."""
    assert part.status_code == 200, part.text
    found = re.findall(r'<svg viewBox="(\d+) (\d+) (\d+) (\d+)".*?<image href="/console([^"]+)"', part.text)
    pictures = []
    for x, y, width, height, url in ((*map(int, each[:4]), html.unescape(each[4])) for each in found):
        answer = visitor.get(url)
        assert answer.headers["Content-Type"] == "image/jpeg"
        sheet = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
        pictures.append(sheet[y : y + height, x : x + width])
    return pictures


def strip_url(page: httpx.Response) -> str:
    found = re.search(r'hx-get="/console(/jobs/new/strip\?[^"]+)"', page.text)
    assert found, page.text
    return html.unescape(found[1])
