"""`stillframe serve`: the service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillframe.cli.messages import say
from stillframe.cli.settings import ConfigFile, DataDir, load
from stillframe.errors import SettingsError

if TYPE_CHECKING:
    from stillframe.server.assembly import Assembly
    from stillframe.server.first_run import FirstRun

EXAMPLES = """Examples:

stillframe serve

stillframe serve --port 9000 --data-dir /var/lib/stillframe
"""


def serve(
    data_dir: DataDir = None,
    config: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on; 0 takes a free one.")] = None,
    slots: Annotated[int | None, typer.Option(help="Slices that are worked on at the same time.")] = None,
    sandbox: Annotated[
        str | None, typer.Option(help="required, or off: decode in this very process, at your own risk.")
    ] = None,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Only take jobs, and leave them to `stillframe worker`.")
    ] = False,
) -> int:
    """Serve the API, work on jobs, and look after a private PostgreSQL, all in one process."""
    from stillframe.server.serve import serve as run

    settings = load(config, data_dir=data_dir, host=host, port=port, slots=slots, sandbox=sandbox)
    if no_worker and settings.database_url is None:
        raise SettingsError(
            "--no-worker", "option", "needs database_url: nobody else can work on a private database"
        )
    run(settings, _welcome, works=not no_worker)
    return 0


def _welcome(assembly: Assembly, first: FirstRun | None) -> None:
    say("Stillframe is ready")
    if (link := assembly.login_link()) is not None:
        say(f"console   {link}")
        say("          logs in once, within the hour; another one: stillframe console link")
    if first is None:
        say(f"API       {assembly.public_url}      keys: stillframe key list, and create")
        return
    # in 80 columns
    say(f"API       {assembly.public_url}      AccessKeyId {first.key.access_key_id}")
    say(f"          AccessKeySecret {first.key.secret} (shown once)")
    place = Path(first.place.removeprefix("fs:"))
    say(f"bucket    oss://{first.bucket}  ->  {place}")
