"""What the documents tell people to type: the commands in their blocks, and the other blocks as they stand.

commands(README, "One machine to many")     # ["stillframe db backup ...", ...]
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
GUIDES = DOCS / "guides"
DEPLOY = ROOT / "deploy"
#: what follows a command on its line, for people
_COMMENT = re.compile(r"\s+# .*$")
_PROMPT = re.compile(r"\s*[$#] ")


def section(document: Path, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    text = document.read_text(encoding="utf-8")
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,6}} |\Z)", _hidden(text), re.M | re.S)
    assert found is not None, f"{document.name} has no heading {heading!r}"
    return text[found.start(2) : found.end(2)]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language; what they are indented by is taken away."""
    found = re.finditer(r"^( *)```(\w*)\n(.*?)^ *```$", text, re.M | re.S)
    return [re.sub(rf"^{match[1]}", "", match[3], flags=re.M) for match in found if match[2] == language]


def commands(document: Path, heading: str | None = None) -> list[str]:
    """The lines of console blocks that begin with a prompt (`$ `, or `# ` for root), without comments."""
    text = section(document, heading) if heading else document.read_text(encoding="utf-8")
    lines = "".join(blocks(text, "console")).replace("\\\n", " ").splitlines()
    return [_COMMENT.sub("", _PROMPT.sub("", line, count=1)) for line in lines if _PROMPT.match(line)]


def _hidden(text: str) -> str:
    """The same text with nothing in its fenced blocks, where lines may begin as headings do."""
    return re.sub(r"^ *```.*?^ *```$", lambda match: re.sub(r"[^\n]", " ", match[0]), text, flags=re.M | re.S)
