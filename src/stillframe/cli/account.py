"""`stillframe account`: whom buckets, jobs and keys belong to."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stillframe.cli.messages import say, say_table
from stillframe.cli.settings import ConfigFile, DataDir, Json, group, operating

app = group("Make accounts and list them. What belongs to one, no other can see.")


@app.command(epilog="Example:\n\nstillframe account create studio")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.", show_default=False)],
    as_json: Json = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Make an account with a pipeline and an access key that may do everything; its secret is shown once."""
    with operating(config, data_dir) as operator:
        account_id, key = operator.open_account(name)
    if as_json:
        told = {"AccountId": account_id, "AccessKeyId": key.access_key_id, "AccessKeySecret": key.secret}
        say(json.dumps(told))
        return
    say(f"AccountId        {account_id}")
    say(f"AccessKeyId      {key.access_key_id}")
    say(f"AccessKeySecret  {key.secret}      (shown once)")


@app.command("list", epilog="Example:\n\nstillframe account list")
def list_accounts(as_json: Json = False, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """List the accounts."""
    with operating(config, data_dir) as operator:
        rows = [
            (account.name, account.account_id, f"{account.created_at:%Y-%m-%dT%H:%M:%SZ}")
            for account in operator.accounts.all()
        ]
    if as_json:
        say(json.dumps([dict(zip(("Name", "AccountId", "CreateTime"), row, strict=True)) for row in rows]))
        return
    say_table(("Name", "AccountId", "Created"), rows)
