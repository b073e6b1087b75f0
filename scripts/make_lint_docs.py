"""Write docs/track-lint.md from the table of lint rules: python scripts/make_lint_docs.py"""

from __future__ import annotations

from pathlib import Path

from stillframe.media.tracks.lint import RULES

PAGE = Path(__file__).parent.parent / "docs" / "track-lint.md"

HEAD = """# What the track lint looks for

`stillframe lint movie.vtt` reads a WebVTT thumbnail track as real players do, and the pictures beside it. An error
means that the players named show no picture or a wrong one; a warning, that pictures may be hidden for a time or that
the track leaves the dialect that all players read. The rules come from the players' published code.

| rule | severity | players that break | what is looked for |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = []
    for rule in sorted(RULES, key=lambda rule: rule.slug):
        what = " ".join(rule.explanation.split()).replace("|", "\\|")
        rows.append(f"| `{rule.slug}` | {rule.severity} | {', '.join(rule.players) or '–'} | {what} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
