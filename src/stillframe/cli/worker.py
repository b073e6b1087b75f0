"""`stillframe worker`: work on jobs that others have taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stillframe.cli.messages import say
from stillframe.cli.settings import ConfigFile, DataDir, load

if TYPE_CHECKING:
    from stillframe.server.assembly import Assembly

EXAMPLES = """Examples:

STILLFRAME_DATABASE_URL=postgresql://user:password@db/stillframe stillframe worker

stillframe worker --config /etc/stillframe.toml --slots 8 --nice 10 --port 9464

stillframe worker --pipelines night,bulk
"""


def worker(
    data_dir: DataDir = None,
    config: ConfigFile = None,
    slots: Annotated[int | None, typer.Option(help="Slices that are worked on at the same time.")] = None,
    pipelines: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Work on these pipelines only: their ids, or names that only one has."
        ),
    ] = None,
    nice: Annotated[
        int, typer.Option(min=0, max=19, help="Let other programs go first: 0 as others, 19 last.")
    ] = 0,
    host: Annotated[str | None, typer.Option(help="The address for --port.")] = None,
    port: Annotated[
        int | None,
        typer.Option(help="Answer /healthz, /readyz and /metrics on this port; on none if left out."),
    ] = None,
    sandbox: Annotated[
        str | None, typer.Option(help="required, or off: decode in this very process, at your own risk.")
    ] = None,
) -> int:
    """Work on the jobs of the servers that share a database (database_url), and serve no API."""
    from stillframe.server.work import work

    names = [name.strip() for name in pipelines.split(",")] if pipelines is not None else None
    settings = load(config, data_dir=data_dir, slots=slots, host=host, port=port, sandbox=sandbox)

    def welcome(assembly: Assembly) -> None:
        of = f", pipelines {', '.join(names)}" if names is not None else ""
        say(f"Stillframe works: {settings.slots} slots{of}")

    work(settings, welcome, pipelines=names, tells_health=port is not None, nice=nice)
    return 0
