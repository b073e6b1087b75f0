"""`stillframe policy`: the policies of an account."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stillframe.cli.messages import say, say_table
from stillframe.cli.settings import Account, ConfigFile, DataDir, Json, group, operating, read_document

app = group(
    "Make policies, change, show, list and delete them. docs/ram.md says what stands in them; "
    "`stillframe user attach` lets one count for a user."
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The policy's name.", show_default=False)]
Document = Annotated[
    str,
    typer.Option("--file", help="The file of its JSON document; - is standard input.", show_default=False),
]


@app.command(epilog="Example:\n\nstillframe policy create OfficeOnly --file office.json")
def create(
    name: Name, file: Document, account: Account = None, data_dir: DataDir = None, config: ConfigFile = None
) -> None:
    """Make a policy of a JSON document."""
    document = read_document(file)
    with operating(config, data_dir) as operator:
        operator.policies.create(operator.account_id(account), name, document)
    say(f"policy {name} is made; let it count: stillframe user attach USER {name}")


@app.command(epilog="Example:\n\nstillframe policy update OfficeOnly --file office.json")
def update(
    name: Name, file: Document, account: Account = None, data_dir: DataDir = None, config: ConfigFile = None
) -> None:
    """Give a policy another document, which counts from the next request on."""
    document = read_document(file)
    with operating(config, data_dir) as operator:
        operator.policies.update(operator.account_id(account), name, document)
    say(f"policy {name} is changed")


@app.command("list", epilog="Example:\n\nstillframe policy list")
def list_policies(
    as_json: Json = False, account: Account = None, data_dir: DataDir = None, config: ConfigFile = None
) -> None:
    """List the managed policies, and the account's own."""
    with operating(config, data_dir) as operator:
        rows = [
            (policy.name, "System" if policy.is_managed else "Custom", policy.users)
            for policy in operator.policies.all(operator.account_id(account))
        ]
    names = ("PolicyName", "PolicyType", "AttachmentCount")
    if as_json:
        say(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    say_table(("Name", "Type", "Users"), rows)


@app.command(epilog="Example:\n\nstillframe policy show AliyunICEReadOnlyAccess")
def show(name: Name, account: Account = None, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Print a policy's document."""
    with operating(config, data_dir) as operator:
        document = operator.policies.document(operator.account_id(account), name)
    say(json.dumps(json.loads(document), indent=2, ensure_ascii=False))


@app.command(epilog="Example:\n\nstillframe policy delete OfficeOnly")
def delete(name: Name, account: Account = None, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Remove a policy that no user has."""
    with operating(config, data_dir) as operator:
        operator.policies.delete(operator.account_id(account), name)
    say(f"policy {name} is deleted")
