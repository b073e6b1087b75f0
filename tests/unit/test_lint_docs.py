"""docs/track-lint.md says what the rules are now."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_made_from_the_rules() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_lint_docs.py"))
    page = (ROOT / "docs" / "track-lint.md").read_text(encoding="utf-8")
    assert page == script["page"](), "run: python scripts/make_lint_docs.py"
