"""`stillframe bucket`: the names that API users write, and the places they stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from stillframe.cli.messages import say, say_table
from stillframe.cli.settings import Account, ConfigFile, DataDir, Json, group, operating

if TYPE_CHECKING:
    from stillframe.catalog.buckets import GrantView
    from stillframe.catalog.models import Access

app = group("Bind bucket names to places, list them and remove them.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="As in oss://NAME/key.", show_default=False)]


@app.command(
    epilog="Examples:\n\nstillframe bucket add videos --to fs:/srv/videos\n\n"
    "stillframe bucket add films --to 's3://films?endpoint=http://127.0.0.1:9000'\n\n"
    "stillframe bucket add films --to 'oss://films?region=cn-shanghai'"
)
def add(
    name: Name,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="Where it lies: fs:/folder, s3://bucket/prefix?... or oss://bucket/prefix?... (docs/buckets.md).",
        ),
    ],
    region: Annotated[
        str | None, typer.Option(help="Its region, as in an object's URL; the setting `region` if not given.")
    ] = None,
    account: Account = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Bind a name to a place, which is written to and read once."""
    with operating(config, data_dir) as operator:
        region = region or operator.settings.region
        added = operator.buckets.add(name, operator.account_id(account), to, region)
    say(f"oss://{added.name}  ->  {added.place}  ({added.region})")


@app.command(
    epilog="Examples:\n\nstillframe bucket edit videos --to fs:/mnt/videos\n\n"
    "stillframe bucket edit videos --region cn-beijing"
)
def edit(
    name: Name,
    to: Annotated[str | None, typer.Option("--to", help="Where it lies now; as it was if not given.")] = None,
    region: Annotated[str | None, typer.Option(help="Its region; as it was if not given.")] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Bind a name to another place, which is written to and read once. Nothing is moved there."""
    if to is None and region is None:
        raise typer.BadParameter("say what changes: --to, --region, or both")
    with operating(config, data_dir) as operator:
        before = operator.buckets.named(name)
        after = operator.buckets.rebind(name, to or before.place, region or before.region)
    say(f"oss://{after.name}  ->  {after.place}  ({after.region})")


@app.command("list", epilog="Example:\n\nstillframe bucket list")
def list_buckets(as_json: Json = False, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """List the buckets."""
    with operating(config, data_dir) as operator:
        accounts = {account.account_id: account.name for account in operator.accounts.all()}
        grants = operator.buckets.grants()
        rows = [
            (
                bucket.name,
                bucket.place,
                bucket.region,
                accounts[bucket.account_id],
                [_told(one, accounts) for one in grants if one.bucket == bucket.name],
            )
            for bucket in operator.buckets.all()
        ]
    names = ("Name", "Place", "Region", "Account", "Grants")
    if as_json:
        say(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    say_table(names, [(*row, ", ".join(granted)) for *row, granted in rows])


def _told(view: GrantView, accounts: Mapping[str, str]) -> str:
    return f"{accounts[view.account_id]} {view.grant.access} {view.grant.prefix}*"


Grantee = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="The other account's name or id.", show_default=False)
]


@app.command(epilog="Example:\n\nstillframe bucket grant videos partner --read --prefix public/")
def grant(
    name: Name,
    account: Grantee,
    read: Annotated[bool, typer.Option("--read", help="Let it read objects.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Let it write objects.")] = False,
    prefix: Annotated[str, typer.Option(help="Only those whose keys start with this.")] = "",
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Let another account use a bucket; of what it may not use it does not know."""
    if not (read or write):
        raise typer.BadParameter("say what is granted: --read, --write, or both")
    from stillframe.catalog.buckets import Grant

    with operating(config, data_dir) as operator:
        account_id = operator.accounts.named(account)
        for access in _accesses(read, write):
            operator.buckets.grant(name, account_id, Grant(access, prefix))
    say(f"account {account} may {_words(read, write)} oss://{name}/{prefix}*")


@app.command(epilog="Example:\n\nstillframe bucket revoke videos partner")
def revoke(
    name: Name,
    account: Grantee,
    read: Annotated[bool, typer.Option("--read", help="Only what lets it read.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Only what lets it write.")] = False,
    prefix: Annotated[
        str | None, typer.Option(help="Only what was granted for this prefix; all prefixes if not given.")
    ] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Take back what another account was granted. Links that it has been given are good until they expire."""
    with operating(config, data_dir) as operator:
        account_id = operator.accounts.named(account)
        only: Access | None = None if read == write else "read" if read else "write"
        number = operator.buckets.revoke(name, account_id, only, prefix)
    say(f"account {account} has lost {number} grant{'s' if number > 1 else ''} in oss://{name}")


def _accesses(read: bool, write: bool) -> list[Access]:
    granted: list[Access] = []
    if read:
        granted.append("read")
    if write:
        granted.append("write")
    return granted


def _words(read: bool, write: bool) -> str:
    return " and ".join(_accesses(read, write))


@app.command(epilog="Example:\n\nstillframe bucket remove videos")
def remove(name: Name, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Forget a bucket. What lies in it stays where it is."""
    with operating(config, data_dir) as operator:
        operator.buckets.remove(name)
    say(f"oss://{name} is removed; its files are still there")
