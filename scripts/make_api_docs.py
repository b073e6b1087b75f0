"""Write docs/openapi.json, docs/errors.md and docs/actions/ from the code: python scripts/make_api_docs.py"""

from __future__ import annotations

import json
import runpy
from pathlib import Path

from stillframe.service.error_table import ACS3_MISMATCH, ERRORS

DOCS = Path(__file__).parent.parent / "docs"
ACTION_PAGES = runpy.run_path(str(Path(__file__).with_name("action_pages.py")))

HEAD = """# Errors of the API

Every answer that is not 200 has `RequestId`, `HostId`, `Code`, `Message` and `Recommend`. Codes, statuses and the first
sentence of the messages are those of Intelligent Media Services and of the gateway before it; what follows the first
sentence names the parameter, its value and what is allowed. `Recommend` says what to do. Which of them an action
finds, and when, stands on its page in [actions/](actions/README.md).

A request is checked in this order: its action and version, its public parameters, the key, the time, the signature,
the nonce, the token, permissions, limits, and last the parameters of the action.

| HTTP | Code | Message | what to do |
|---|---|---|---|
"""

TAIL = f"""
SignatureDoesNotMatch reads otherwise for ACS3-HMAC-SHA256: {ACS3_MISMATCH}
"""


def openapi() -> str:
    """The OpenAPI document."""
    return json.dumps(ACTION_PAGES["DOCUMENT"], indent=2, ensure_ascii=False) + "\n"


def errors() -> str:
    """The page of errors."""
    rows = [
        f"| {kind.status} | `{code}` | {kind.message} | {kind.remedy} |\n"
        for code, kind in sorted(ERRORS.items(), key=lambda item: (item[1].status, item[0]))
    ]
    return HEAD + "".join(rows) + TAIL


def pages() -> dict[Path, str]:
    """The text of every page that is made from the code."""
    actions = {DOCS / "actions" / name: text for name, text in ACTION_PAGES["pages"]().items()}
    return {DOCS / "openapi.json": openapi(), DOCS / "errors.md": errors(), **actions}


if __name__ == "__main__":
    made = pages()
    for old in (DOCS / "actions").glob("*.md"):
        if old not in made:
            old.unlink()
    for path, text in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
