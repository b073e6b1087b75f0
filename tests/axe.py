"""axe-core, which finds what a page lacks for those who do not see it (`make axe` installs it)."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page

from chromium import left_out

SCRIPT = Path(__file__).parent / "console" / "node_modules" / "axe-core" / "axe.min.js"
#: rules of WCAG 2.1, levels A and AA, and what is good manners besides
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


def demand_axe() -> None:
    """Leave the test out where axe is not installed."""
    if not SCRIPT.exists():
        left_out("axe-core is not installed (make axe)")


def findings(page: Page) -> list[str]:
    """What axe finds wrong with a page, but for trifles."""
    # not as a script of the page, whose policy allows none but its own
    page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    found = page.evaluate("rules => axe.run(rules)", _RULES)
    return [
        f"{each['impact']} {each['id']}: {node['html'][:200]}"
        for each in found["violations"]
        for node in each["nodes"]
        if each["impact"] in ("serious", "critical")
    ]
