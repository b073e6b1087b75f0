"""`stillframe keyring`: the keys that secrets are encrypted with at rest, and how they are renewed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillframe.cli.messages import say
from stillframe.cli.settings import ConfigFile, DataDir, group, operating
from stillframe.errors import KeyringError

app = group(
    "Make the file of the keys that secrets are encrypted with, and renew them (docs/guides/rotate-keys.md)."
)
KeyringFile = Annotated[Path, typer.Argument(metavar="FILE", help="The keyring.", show_default=False)]


@app.command(epilog="Example:\n\nstillframe keyring create /etc/stillframe/keyring")
def create(file: KeyringFile) -> None:
    """Make a new keyring, for servers that are to be given one (keyring_file)."""
    from stillframe.keyring import Keyring

    if file.exists():
        raise KeyringError(f"{file}: is there already")
    Keyring.open(file)
    say(f"{file} has a new key; keep a copy in a safe place")


@app.command(epilog="Example:\n\nstillframe keyring add /etc/stillframe/keyring")
def add(file: KeyringFile) -> None:
    """Add a key that encrypts nothing yet, so that all processes know it before one of them uses it."""
    from stillframe.keyring import Keyring

    say(f"{file} has {len(Keyring.add(file))} keys; the new one is the last")


@app.command(epilog="Example:\n\nstillframe keyring promote /etc/stillframe/keyring")
def promote(file: KeyringFile) -> None:
    """Put the added key first: processes encrypt and sign with it from their next start on."""
    from stillframe.keyring import Keyring

    if Keyring.promote(file):
        say(f"{file} has the added key first now")
    else:
        say(f"{file} is as it was: the added key is the first already")


@app.command(epilog="Example:\n\nstillframe keyring reencrypt")
def reencrypt(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Encrypt all secrets in the database anew, with the first key of the keyring in force."""
    with operating(config, data_dir) as operator:
        number = operator.reencrypt()
    say(f"{number} secrets are encrypted with the first key")


@app.command(epilog="Example:\n\nstillframe keyring check")
def check(data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Tell whether the first key alone opens all secrets in the database, so that others may be removed.

    Exit code 1 when it does not.
    """
    with operating(config, data_dir) as operator:
        found = operator.secrets()
    if found.lost:
        raise KeyringError(
            f"{found.lost} of {found.all} secrets are encrypted with a key that the keyring does not hold: "
            "put the key back that was removed from it"
        )
    if found.older:
        raise KeyringError(
            f"{found.older} of {found.all} secrets need other keys than the first: run: stillframe keyring reencrypt"
        )
    say(f"the first key opens all {found.all} secrets: the database needs no other one")
