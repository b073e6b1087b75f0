"""`stillframe sts`: temporary keys."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stillframe.cli.messages import say, say_table
from stillframe.cli.settings import Account, ConfigFile, DataDir, Json, group, operating, read_document

app = group("Make temporary keys, list and revoke them.")


@app.command(epilog="Example:\n\nstillframe sts create --role player --policy AliyunICEReadOnlyAccess --json")
def create(
    user: Annotated[
        str | None, typer.Option("--user", help="For this user: no more than the user may.")
    ] = None,
    role: Annotated[
        str | None, typer.Option("--role", help="For a role of this name: what --policy allows.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="The name of a policy, or a file, that narrows it.")
    ] = None,
    duration_s: Annotated[
        int, typer.Option("--duration", help="How long it counts, in seconds: 900 to 43200.")
    ] = 3600,
    as_json: Json = False,
    account: Account = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Make a temporary key of a user or of a role. Secret and token are shown now, and never again."""
    with operating(config, data_dir) as operator:
        from stillframe.accounts.names import is_policy_name

        account_id = operator.account_id(account)
        document = None
        if policy is not None:
            is_name = is_policy_name(policy)
            document = operator.policies.document(account_id, policy) if is_name else read_document(policy)
        made = operator.sts.issue(account_id, user=user, role=role, policy=document, duration_s=duration_s)
    told = {
        "AccessKeyId": made.access_key_id,
        "AccessKeySecret": made.secret,
        "SecurityToken": made.security_token,
        "Expiration": f"{made.expires_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    if as_json:
        say(json.dumps(told))
        return
    for name, value in told.items():
        say(f"{name:15}  {value}")


@app.command("list", epilog="Example:\n\nstillframe sts list")
def list_tokens(
    as_json: Json = False, account: Account = None, data_dir: DataDir = None, config: ConfigFile = None
) -> None:
    """List the temporary keys of an account that count now."""
    with operating(config, data_dir) as operator:
        rows = [
            (token.access_key_id, token.user, token.role, f"{token.expires_at:%Y-%m-%dT%H:%M:%SZ}")
            for token in operator.sts.all(operator.account_id(account))
        ]
    if as_json:
        names = ("AccessKeyId", "User", "Role", "Expiration")
        say(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    say_table(("AccessKeyId", "User", "Role", "Expires"), [[cell or "-" for cell in row] for row in rows])


@app.command(epilog="Example:\n\nstillframe sts revoke STS.abcdefghijklmnopqrstuv")
def revoke(
    access_key_id: Annotated[str, typer.Argument(metavar="ID", help="The AccessKeyId.", show_default=False)],
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """End a temporary key, from the next request on."""
    with operating(config, data_dir) as operator:
        operator.sts.revoke(access_key_id)
    say(f"{access_key_id} is revoked")
