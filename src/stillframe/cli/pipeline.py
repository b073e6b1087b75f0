"""`stillframe pipeline`: the queues of jobs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from stillframe.cli.messages import say, say_table
from stillframe.cli.settings import Account, ConfigFile, DataDir, Json, group, operating

if TYPE_CHECKING:
    from stillframe.catalog.pipelines import PipelineView

app = group("List pipelines, pause and resume them, and give them hours.")
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
                "Paused" if pipeline.paused else "OffHours" if pipeline.off_hours else "Active",
                pipeline.priority,
                _told(pipeline),
                accounts[pipeline.account_id],
            )
            for pipeline in operator.pipelines.all()
        ]
    names = ("PipelineId", "Name", "Status", "Priority", "Hours", "Account")
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


@app.command(
    epilog="Examples:\n\nstillframe pipeline hours --between '22:00-06:00' --time-zone Europe/Berlin\n\n"
    "stillframe pipeline hours --between 'Mon-Fri 20:00-07:00, Sat-Sun 00:00-24:00'\n\n"
    "stillframe pipeline hours --between always"
)
def hours(
    pipeline_id: PipelineId = None,
    between: Annotated[
        str | None,
        typer.Option(help="Ranges, each of every day or of some weekdays; always: at all times."),
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Whose clocks are meant, as Europe/Berlin (UTC).")
    ] = None,
    account: Account = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Say when the jobs of a pipeline are begun, or show it; outside of its hours it is as a paused one."""
    with operating(config, data_dir) as operator:
        account_id = operator.account_id(account)
        if between is None and time_zone is None:
            pipeline = operator.pipelines.of_account(account_id, pipeline_id)
        else:
            pipeline = operator.pipeline_control().update(
                account_id, pipeline_id, active_hours=between, time_zone=time_zone
            )
    now = "nothing is begun now" if pipeline.off_hours else "jobs are begun now"
    say(f"pipeline {pipeline.name}: {_told(pipeline)}; {'it is paused' if pipeline.paused else now}")


def _told(pipeline: PipelineView) -> str:
    return f"{pipeline.active_hours} {pipeline.time_zone}" if pipeline.active_hours else "always"
