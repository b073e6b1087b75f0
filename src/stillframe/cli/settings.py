"""The options that all commands around the service share, and the settings that come of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from stillframe.settings import Settings

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The folder for database, keys and local buckets (./stillframe-data)."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="A TOML file of settings (stillframe.toml in the data folder)."),
]


def load(config: Path | None, **options: Any) -> Settings:
    """The settings in force. Raises SettingsError."""
    from stillframe.settings import load_settings

    return load_settings(config, **options).settings
