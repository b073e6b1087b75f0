"""`stillframe key`: the access keys of the API."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stillframe.cli.messages import say, say_table
from stillframe.cli.settings import Account, ConfigFile, DataDir, Json, group, operating

app = group("Make, list, disable and delete access keys.")
_LAST = "; no active key is left: stillframe key create makes one"
AccessKeyId = Annotated[str, typer.Argument(metavar="ID", help="The AccessKeyId.", show_default=False)]


@app.command(epilog="Example:\n\nstillframe key create --user alice")
def create(
    user: Annotated[
        str | None,
        typer.Option("--user", help="Whose it is; the account's own, which may do everything, if not."),
    ] = None,
    as_json: Json = False,
    account: Account = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Make a new access key. Its secret is shown now, and never again."""
    with operating(config, data_dir) as operator:
        account_id = operator.account_id(account)
        user_id = operator.users.id_of(account_id, user) if user is not None else None
        made = operator.keys.create(account_id, user_id=user_id)
    if as_json:
        say(json.dumps({"AccessKeyId": made.access_key_id, "AccessKeySecret": made.secret}))
        return
    say(f"AccessKeyId      {made.access_key_id}")
    say(f"AccessKeySecret  {made.secret}      (shown once)")


@app.command("list", epilog="Example:\n\nstillframe key list --json")
def list_keys(as_json: Json = False, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """List the access keys, without their secrets."""
    with operating(config, data_dir) as operator:
        keys = operator.keys.all()
    rows = [
        (
            key.access_key_id,
            "active" if key.active else "disabled",
            f"{key.created_at:%Y-%m-%dT%H:%M:%SZ}",
            key.account,
            key.user,
        )
        for key in keys
    ]
    if as_json:
        names = ("AccessKeyId", "Status", "CreateTime", "Account", "User")
        say(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    say_table(
        ("AccessKeyId", "Status", "Created", "Account", "User"), [(*row[:-1], row[-1] or "-") for row in rows]
    )


@app.command(epilog="Example:\n\nstillframe key disable SFabcdefghijklmnopqrstuv")
def disable(access_key_id: AccessKeyId, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Refuse a key from the next request on; `enable` brings it back."""
    with operating(config, data_dir) as operator:
        operator.keys.set_active(access_key_id, active=False)
        left = any(key.active for key in operator.keys.all())
    say(f"{access_key_id} is disabled{'' if left else _LAST}")


@app.command(epilog="Example:\n\nstillframe key enable SFabcdefghijklmnopqrstuv")
def enable(access_key_id: AccessKeyId, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Accept a disabled key again."""
    with operating(config, data_dir) as operator:
        operator.keys.set_active(access_key_id, active=True)
    say(f"{access_key_id} is active")


@app.command(epilog="Example:\n\nstillframe key delete SFabcdefghijklmnopqrstuv")
def delete(access_key_id: AccessKeyId, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Remove a key for good."""
    with operating(config, data_dir) as operator:
        operator.keys.delete(access_key_id)
        left = any(key.active for key in operator.keys.all())
    say(f"{access_key_id} is deleted{'' if left else _LAST}")
