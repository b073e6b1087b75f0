"""What a user names as a video on the command line: a file, or an address."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from stillframe.library import is_address


@dataclass(frozen=True, slots=True)
class Input:
    """A video: `what` the library takes, its `name` in messages, and the `stem` that stands for `{Name}`.

    An address may hold a password or a signature; its name does not.
    """

    what: str | Path = field(repr=False)
    name: str
    stem: str

    @classmethod
    def of(cls, text: str) -> Input:
        """What is written on the command line. Raises ConfigError when it is an address of nothing that can be read."""
        if is_address(text):
            from stillframe.storage.by_address import parse_input

            address = parse_input(text)
            return cls(text, str(address), address.stem)
        path = Path(text)
        return cls(path, str(path), path.stem)
