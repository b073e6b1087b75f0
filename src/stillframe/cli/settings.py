"""The options that all commands around the service share, and the settings that come of them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillframe.errors import SettingsError, os_reason

if TYPE_CHECKING:
    from stillframe.server.operator import Operator
    from stillframe.settings import Settings

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The folder for database, keys and local buckets (./stillframe-data)."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="A TOML file of settings (stillframe.toml in the data folder)."),
]


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Account = Annotated[
    str | None, typer.Option("--account", help="The name or id of the account; the first one if left out.")
]


def group(help: str) -> typer.Typer:
    """A command that has commands of its own."""
    return typer.Typer(help=help, no_args_is_help=True, add_completion=False)


@contextlib.contextmanager
def operating(config: Path | None, data_dir: Path | None) -> Iterator[Operator]:
    """The data folder's database and keys, for as long as a command needs them. Raises StillframeError."""
    from stillframe.server.operator import operate

    with operate(load(config, data_dir=data_dir)) as operator:
        yield operator


def read_document(file: str) -> str:
    """The text of a file that an option names; `-` is standard input. Raises SettingsError."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SettingsError("file", file, "is not text in UTF-8") from None
    except OSError as error:
        raise SettingsError("file", file, os_reason(error)) from error


def load(config: Path | None, **options: Any) -> Settings:
    """The settings in force. Raises SettingsError."""
    from stillframe.settings import load_settings

    return load_settings(config, **options).settings
