"""`stillframe node`: the processes that share a database."""

from __future__ import annotations

import json

from stillframe.cli.messages import say, say_table
from stillframe.cli.settings import ConfigFile, DataDir, Json, group, operating

app = group("List the servers and workers that share the database.")


@app.command("list", epilog="Example:\n\nstillframe node list")
def list_nodes(as_json: Json = False, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """List the servers and workers, and which of them are not heard of any more."""
    from stillframe.jobs.nodes import nodes

    with operating(config, data_dir) as operator:
        with operator.database.transaction() as session:
            known = nodes(session)
        rows = [
            (
                node.node_id,
                node.role,
                "Alive" if node.is_alive else "Lost",
                node.host,
                node.pid,
                node.slots,
                node.version,
                node.started_at.isoformat(timespec="seconds"),
                node.seen_at.isoformat(timespec="seconds"),
            )
            for node in known
        ]
    names = ("NodeId", "Role", "Status", "Host", "Pid", "Slots", "Version", "Started", "Seen")
    if as_json:
        say(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    say_table(names, rows)
