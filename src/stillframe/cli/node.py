"""`stillframe node`: the processes that share a database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from stillframe.cli.messages import say, say_table
from stillframe.cli.settings import ConfigFile, DataDir, Json, group, operating

if TYPE_CHECKING:
    from stillframe.jobs.nodes import NodeFacts

app = group("List the servers and workers that share the database.")


@app.command("list", epilog="Example:\n\nstillframe node list")
def list_nodes(as_json: Json = False, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """List the servers and workers, and which of them are not heard of any more."""
    from stillframe.jobs.nodes import nodes

    with operating(config, data_dir) as operator:
        with operator.database.transaction() as session:
            known = nodes(session)
        names = {pipeline.pipeline_id: pipeline.name for pipeline in operator.pipelines.all()}
        rows = [
            (
                node.node_id,
                node.role,
                "Alive" if node.is_alive else "Lost",
                node.host,
                node.pid,
                node.slots,
                node.pipelines if as_json else _taken(node, names),
                node.version,
                node.started_at.isoformat(timespec="seconds"),
                node.seen_at.isoformat(timespec="seconds"),
            )
            for node in known
        ]
    columns = ("NodeId", "Role", "Status", "Host", "Pid", "Slots", "Pipelines", "Version", "Started", "Seen")
    if as_json:
        say(json.dumps([dict(zip(columns, row, strict=True)) for row in rows]))
        return
    say_table(columns, rows)


def _taken(node: NodeFacts, names: Mapping[str, str]) -> str:
    """The pipelines that a node works on."""
    if node.pipelines is None:
        return "all" if node.slots else ""
    return ", ".join(names.get(id, id) for id in node.pipelines)
