"""`stillframe api`: any action of the API, as it is."""

from __future__ import annotations

import json
import shlex
from typing import Annotated

import typer

from stillframe.cli.job import Endpoint, Profile
from stillframe.cli.messages import say
from stillframe.cli.settings import ConfigFile, DataDir, load

EXAMPLES = """Examples:

stillframe api ListSnapshotJobs Status=Fail PageSize=5

stillframe api CreatePipeline Name=night Speed=Standard Priority=2

stillframe api GetSnapshotJob JobId=5a0c8f6b2f0e4d3a9b7c6d5e4f3a2b1c --curl
"""


def api(
    action: Annotated[
        str,
        typer.Argument(
            metavar="ACTION", help="Its name; docs/actions has a page for each.", show_default=False
        ),
    ],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Its parameters; objects as JSON.", show_default=False),
    ] = None,
    curl: Annotated[
        bool,
        typer.Option(
            "--curl", help="Print the signed request as a curl command; it is good once, for 15 minutes."
        ),
    ] = False,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Call an action of the API and print its answer as JSON."""
    from stillframe.server.connecting import connect

    given = {}
    for text in parameters or ():
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise typer.BadParameter(f"{text}: write KEY=VALUE, such as PageSize=5")
        given[key] = value
    with connect(load(config, data_dir=data_dir), endpoint, profile) as client:
        if not curl:
            say(json.dumps(client.call(action, **given), indent=2, ensure_ascii=False))
            return
        url, headers, body = client.signed(action, **given)
    parts = ["curl", url, *(part for name, value in headers.items() for part in ("-H", f"{name}: {value}"))]
    say(shlex.join([*parts, "--data-raw", body.decode()]))
