"""The wildcards of policies."""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern says: `*` is any characters or none, `?` is one; all others are themselves.

    However many stars there are, it takes no longer than the one length times the other.
    """
    at = position = 0
    star, resume = -1, 0
    while position < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[position]):
            at += 1
            position += 1
        elif star >= 0:
            # the last star takes one character more
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return pattern[at:].strip("*") == ""
