"""`stillframe user`: users of an account, and what they may do."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stillframe.cli.messages import say, say_table
from stillframe.cli.settings import Account, ConfigFile, DataDir, Json, group, operating

app = group("Make users of an account, attach policies to them, list and delete them.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.", show_default=False)]
Policy = Annotated[str, typer.Argument(metavar="POLICY", help="The policy's name.", show_default=False)]


@app.command(epilog="Example:\n\nstillframe user create alice && stillframe key create --user alice")
def create(name: Name, account: Account = None, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Make a user, who may do nothing until a policy is attached."""
    with operating(config, data_dir) as operator:
        user_id = operator.users.create(operator.account_id(account), name)
    say(f"user {name} is made: {user_id}")


@app.command("list", epilog="Example:\n\nstillframe user list")
def list_users(
    as_json: Json = False, account: Account = None, data_dir: DataDir = None, config: ConfigFile = None
) -> None:
    """List the users of an account, with their policies."""
    with operating(config, data_dir) as operator:
        users = operator.users.all(operator.account_id(account))
    if as_json:
        say(
            json.dumps(
                [{"UserName": user.name, "UserId": user.user_id, "Policies": user.policies} for user in users]
            )
        )
        return
    say_table(
        ("Name", "UserId", "Policies"),
        [(user.name, user.user_id, ", ".join(user.policies)) for user in users],
    )


@app.command(epilog="Example:\n\nstillframe user attach alice AliyunICEReadOnlyAccess")
def attach(
    name: Name, policy: Policy, account: Account = None, data_dir: DataDir = None, config: ConfigFile = None
) -> None:
    """Let a policy count for a user, from the next request on."""
    with operating(config, data_dir) as operator:
        operator.users.attach(operator.account_id(account), name, policy)
    say(f"policy {policy} counts for {name}")


@app.command(epilog="Example:\n\nstillframe user detach alice AliyunICEReadOnlyAccess")
def detach(
    name: Name, policy: Policy, account: Account = None, data_dir: DataDir = None, config: ConfigFile = None
) -> None:
    """Let a policy count for a user no more."""
    with operating(config, data_dir) as operator:
        operator.users.detach(operator.account_id(account), name, policy)
    say(f"policy {policy} counts for {name} no more")


@app.command(epilog="Example:\n\nstillframe user delete alice")
def delete(name: Name, account: Account = None, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Remove a user, and with them their access keys and temporary keys."""
    with operating(config, data_dir) as operator:
        operator.users.delete(operator.account_id(account), name)
    say(f"user {name} is deleted, and their keys")
