"""Write docs/openapi.json and docs/errors.md from the code: python scripts/make_api_docs.py"""

from __future__ import annotations

import json
from pathlib import Path

from stillframe.ims.error_table import ACS3_MISMATCH, ERRORS
from stillframe.ims.openapi import document
from stillframe.ims.registry import ACTIONS

DOCS = Path(__file__).parent.parent / "docs"

HEAD = """# Errors of the API

Every answer that is not 200 has `RequestId`, `HostId`, `Code`, `Message` and `Recommend`. Codes, statuses and the first
sentence of the messages are those of Intelligent Media Services and of the gateway before it; what follows the first
sentence names the parameter, its value and what is allowed. `Recommend` says what to do.

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
    return json.dumps(document(ACTIONS), indent=2, ensure_ascii=False) + "\n"


def errors() -> str:
    """The page of errors."""
    rows = [
        f"| {kind.status} | `{code}` | {kind.message} | {kind.remedy} |\n"
        for code, kind in sorted(ERRORS.items(), key=lambda item: (item[1].status, item[0]))
    ]
    return HEAD + "".join(rows) + TAIL


PAGES = {DOCS / "openapi.json": openapi, DOCS / "errors.md": errors}

if __name__ == "__main__":
    for path, text in PAGES.items():
        path.write_text(text(), encoding="utf-8")
