"""No page has a link that leads nowhere: to a file, or to a heading, that there is not."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from told import DOCS, README, ROOT

PAGES = [README, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
#: in sentences, the repository's own pages are named by their paths
_NAMED = re.compile(r"(?<![\w/.])docs/[\w./-]+\.md\b")
_FOREIGN = re.compile(r"[a-z]+:")


def text_of(page: Path) -> str:
    """Without code, in which brackets are something else."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)
    return re.sub(r"`[^`\n]+`", lambda code: code[0].replace("[", " "), text)


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.M)
    plain = [re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip().lower() for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


def dead(page: Path, text: str) -> list[str]:
    """The links of a text, as if it stood in the page, that lead nowhere."""
    found = []
    for link in _LINK.findall(text):
        if _FOREIGN.match(link):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found + [name for name in _NAMED.findall(text) if not (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert dead(page, text_of(page)) == []


def test_a_dead_link_is_noticed() -> None:
    page = DOCS / "guides" / "README.md"
    text = "[a](one-machine.md) [b](no-machine.md) [c](../settings.md#nothing) [d](../no.md) docs/no.md"
    assert dead(page, text) == ["no-machine.md", "../settings.md#nothing", "../no.md", "docs/no.md"]


def test_every_guide_is_found_from_the_index() -> None:
    index = (DOCS / "guides" / "README.md").read_text(encoding="utf-8")
    guides = {path.name for path in (DOCS / "guides").glob("*.md")} - {"README.md"}
    assert guides <= {*_LINK.findall(index)}
    assert "docs/guides/README.md" in README.read_text(encoding="utf-8")
