"""In which line of a policy's document something stands that is wrong.

try:
    parse_policy(document)
except ConfigError as error:
    line_of(document, error.path)       # 4, for Statement[0].Effect
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain

from stillframe.accounts.policies import LONGEST_DOCUMENT

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_LAST_STEP = re.compile(r"(?:^|\.)[^.\[\]]*$|\[\d+\]$")
_LONGEST_KEY = 64
Token = tuple[str, int]


def line_of(document: str, path: str) -> int | None:
    """The line of an element, or of the nearest around it that is there; of the fault, where it is no JSON.

    The first line is 1; None where no line is at fault, as in a document that is too long to be a policy.
    """
    if len(document) > LONGEST_DOCUMENT:
        # each element is noted with its whole path: of a deep list that is thousands of times the list's length
        return None
    try:
        json.loads(document)
        found: dict[str, int] = {}
        _walk(_tokens(document), "", found)
    except json.JSONDecodeError as error:
        return error.lineno
    except (ValueError, RecursionError):
        return None
    while path and path not in found:
        path = _LAST_STEP.sub("", path, count=1)
    return found.get(path) if path else None


def _tokens(document: str) -> Iterator[Token]:
    line, end = 1, 0
    for token in _TOKEN.finditer(document):
        line += document.count("\n", end, token.start())
        end = token.start()
        yield token[0], line


def _walk(tokens: Iterator[Token], path: str, found: dict[str, int]) -> None:
    """Note where a value begins, and all that is in it: for a key of an object, the line of the key."""
    token, line = next(tokens)
    found.setdefault(path, line)
    if token == "{":
        for key, at in tokens:
            if key == "}":
                return
            name = json.loads(key)[:_LONGEST_KEY]
            inner = f"{path}.{name}" if path else name
            if inner in found:
                # one that is written twice goes by its name alone
                found[name] = at
            found[inner] = at
            next(tokens)
            _walk(tokens, inner, found)
            if next(tokens)[0] == "}":
                return
    elif token == "[":
        _walk_list(tokens, path, found)


def _walk_list(tokens: Iterator[Token], path: str, found: dict[str, int]) -> None:
    for number, first in enumerate(tokens):
        if first[0] == "]":
            return
        _walk(chain((first,), tokens), f"{path}[{number}]", found)
        if next(tokens)[0] == "]":
            return
