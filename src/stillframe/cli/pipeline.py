"""`stillframe pipeline`: the queues of jobs."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stillframe.cli.messages import say, say_table
from stillframe.cli.settings import Account, ConfigFile, DataDir, Json, group, operating

app = group("List pipelines, pause and resume them.")
PipelineId = Annotated[
    str | None, typer.Argument(metavar="[ID]", help="The pipeline; the default one if left out.")
]


@app.command("list", epilog="Example:\n\nstillframe pipeline list")
def list_pipelines(as_json: Json = False, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """List the pipelines."""
    with operating(config, data_dir) as operator:
        accounts = {account.account_id: account.name for account in operator.accounts.all()}
        rows = [
            (
                pipeline.pipeline_id,
                pipeline.name,
                "Paused" if pipeline.paused else "Active",
                pipeline.priority,
                accounts[pipeline.account_id],
            )
            for pipeline in operator.pipelines.all()
        ]
    names = ("PipelineId", "Name", "Status", "Priority", "Account")
    if as_json:
        say(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    say_table(names, rows)


@app.command(epilog="Example:\n\nstillframe pipeline pause")
def pause(
    pipeline_id: PipelineId = None,
    account: Account = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Begin no more jobs of a pipeline; it still accepts new ones."""
    with operating(config, data_dir) as operator:
        pipeline = operator.pipeline_control().pause(operator.account_id(account), pipeline_id)
    say(f"pipeline {pipeline.name} is paused; what is in work goes on to its end")


@app.command(epilog="Example:\n\nstillframe pipeline resume")
def resume(
    pipeline_id: PipelineId = None,
    account: Account = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Go on with a paused pipeline, beginning with the jobs that have waited."""
    with operating(config, data_dir) as operator:
        pipeline, waiting = operator.pipeline_control().resume(operator.account_id(account), pipeline_id)
    say(f"pipeline {pipeline.name} is active; jobs that had been held up: {waiting}")
