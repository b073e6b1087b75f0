"""docs/players.md names the versions that the players are proven with."""

from __future__ import annotations

import json
import re

from told import DOCS, ROOT, section

PACKAGES = json.loads((ROOT / "tests" / "players" / "package.json").read_text(encoding="utf-8"))[
    "dependencies"
]


def test_every_player_has_a_page_and_the_version_that_is_installed() -> None:
    text = (DOCS / "players.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.+?)\]\(#.*?\) \| ([\d.]+) \| (.+?) \|", text, re.M)
    assert len(rows) == 6
    for player, version, packages in rows:
        first, *others = packages.split(", ")
        told = {first.strip("`"): version, **dict(re.findall(r"`(.+?)` ([\d.]+)", ", ".join(others)))}
        assert told == {name: PACKAGES[name] for name in told}
        assert len(told) == len(others) + 1
        page = section(DOCS / "players.md", player)
        assert all(f"node_modules/{name}/" in page for name in told)
