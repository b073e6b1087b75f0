"""`stillframe job`: the jobs of a server, over its API."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillframe.cli.messages import print_error, say, say_progress, say_table, share_text
from stillframe.cli.settings import ConfigFile, DataDir, Json, group, load

if TYPE_CHECKING:
    from stillframe.ims.client import Client

app = group(
    """Submit jobs to a server, and look after them.

    The server is --endpoint, else --profile's, else STILLFRAME_ENDPOINT, else that of the profile which
    STILLFRAME_PROFILE names, else the one that runs on the data folder. The key is --profile's, else that of
    STILLFRAME_ACCESS_KEY_ID and STILLFRAME_ACCESS_KEY_SECRET, else that of STILLFRAME_PROFILE's profile, else the
    data folder's first active one.
    """
)

Endpoint = Annotated[
    str | None,
    typer.Option("--endpoint", help="The server, such as http://127.0.0.1:8080.", show_default=False),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="The server and key of \\[profiles.NAME] in ~/.config/stillframe/config.toml.",
        show_default=False,
    ),
]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The JobId.", show_default=False)]


def client_for(
    endpoint: str | None, profile: str | None, data_dir: Path | None, config: Path | None
) -> Client:
    """A client of the server that is meant, with the key that is. Raises SettingsError, DatabaseError."""
    from stillframe.server.connecting import connect

    return connect(load(config, data_dir=data_dir), endpoint, profile)


@app.command(
    epilog="Example:\n\nstillframe job submit oss://local/movie.mp4 -o 'oss://local/thumbs/{Count}.jpg' "
    "--template S00000002-000012 --set Count=5 --wait"
)
def submit(
    source: Annotated[
        str,
        typer.Argument(metavar="SRC", help="The video: oss://bucket/key, or a MediaId.", show_default=False),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="Where to write: {Count} numbers stills, {TileCount} sheets; or a MediaId."
        ),
    ],
    template: Annotated[
        str, typer.Option(help="The TemplateId, such as S00000002-000012; docs/parameters.md lists them.")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Something other than the template says, such as SpriteSnapshotConfig.Columns=5; as often as needed.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    user_data: Annotated[str | None, typer.Option(help="A text that comes back with the job.")] = None,
    pipeline: Annotated[
        str | None, typer.Option(metavar="ID", help="The PipelineId; the account's default pipeline if not.")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end; exit code 1 when the job has failed.")
    ] = False,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> int:
    """Submit a job and print its id."""
    chosen: dict[str, Any] = {"TemplateId": template}
    if changes:
        chosen["OverwriteParams"] = _changes(changes)
    with client_for(endpoint, profile, data_dir, config) as client:
        job_id = client.call(
            "SubmitSnapshotJob",
            Input=_place(source),
            Output=_place(output),
            TemplateConfig=chosen,
            Name=name,
            UserData=user_data,
            ScheduleConfig={"PipelineId": pipeline} if pipeline is not None else None,
        )["JobId"]
        say(job_id)
        if not wait:
            return 0
        return _wait(client, job_id)


def _place(text: str) -> dict[str, str]:
    """An address, or the id of a media asset."""
    return {"Type": "Media" if re.fullmatch("[0-9a-f]{32}", text) else "OSS", "Media": text}


@app.command("list", epilog="Example:\n\nstillframe job list --status Fail")
def list_jobs(
    status: Annotated[str | None, typer.Option(help="Only those that are Init, Success or Fail.")] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="How many at most.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each job.")] = False,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """List jobs, the newest first."""
    with client_for(endpoint, profile, data_dir, config) as client:
        jobs = list(client.jobs(status and status.capitalize(), most))
    if as_json:
        for job in jobs:
            say(json.dumps(job, separators=(",", ":")))
        return
    columns = ("JobId", "Status", "Type", "Count", "CreateTime", "Name", "Input")
    rows = [{**job, "Input": job["Input"]["Media"]} for job in jobs]
    say_table(columns, [[row.get(column, "") for column in columns] for row in rows])


@app.command(epilog="Example:\n\nstillframe job show 5a0c8f6b2f0e4d3a9b7c6d5e4f3a2b1c --json")
def show(
    job_id: JobId,
    as_json: Json = False,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Show all that there is to know of a job."""
    with client_for(endpoint, profile, data_dir, config) as client:
        job = client.call("GetSnapshotJob", JobId=job_id)["SnapshotJob"]
    if as_json:
        say(json.dumps(job, separators=(",", ":")))
        return
    for name in _SHOWN:
        if name in job:
            value = job[name]
            text = _object(value) if isinstance(value, dict) else str(value)
            say(f"{name:15} {text}".replace("\n", "\\n").replace("\r", "\\r"))
    if report := job.get("Report"):
        # an older server's tells no requests
        read = share_text(report["BytesRead"], report["SizeBytes"], report.get("Requests"))
        say(f"{'Report':15} {read}")


_SHOWN = (
    *("JobId", "Name", "Status", "Code", "Message", "Progress", "Type", "Count", "Input", "Output"),
    *("TemplateId", "TemplateConfig", "PipelineId", "UserData", "CreateTime", "SubmitTime", "FinishTime"),
)


@app.command(epilog="Example:\n\nstillframe job wait 5a0c8f6b2f0e4d3a9b7c6d5e4f3a2b1c")
def wait(
    job_id: JobId,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> int:
    """Wait for a job's end; exit code 1 when it has failed."""
    with client_for(endpoint, profile, data_dir, config) as client:
        return _wait(client, job_id)


@app.command(epilog="Example:\n\nstillframe job urls 5a0c8f6b2f0e4d3a9b7c6d5e4f3a2b1c | xargs -n 1 curl -O")
def urls(
    job_id: JobId,
    expiry_s: Annotated[
        int, typer.Option("--expiry", min=1, help="How long the URLs are good, in seconds.")
    ] = 3600,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Print signed URLs of a job's files: its track first, then its pictures, a line each."""
    with client_for(endpoint, profile, data_dir, config) as client:
        for url in client.urls(job_id, expiry_s):
            say(url)


@app.command(epilog="Example:\n\nstillframe job cancel 5a0c8f6b2f0e4d3a9b7c6d5e4f3a2b1c")
def cancel(
    job_id: JobId,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """End a job that is not done yet. Pictures that are finished stay."""
    with client_for(endpoint, profile, data_dir, config) as client:
        client.call("CancelSnapshotJob", JobId=job_id)
    say(f"{job_id} is cancelled")


@app.command(epilog="Example:\n\nstillframe job retry 5a0c8f6b2f0e4d3a9b7c6d5e4f3a2b1c")
def retry(
    job_id: JobId,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Do a failed job again, under its own id."""
    with client_for(endpoint, profile, data_dir, config) as client:
        client.call("RetrySnapshotJob", JobId=job_id)
    say(f"{job_id} is in the queue again")


@app.command(epilog="Example:\n\nstillframe job delete 5a0c8f6b2f0e4d3a9b7c6d5e4f3a2b1c --outputs")
def delete(
    job_id: JobId,
    outputs: Annotated[bool, typer.Option("--outputs", help="Remove its pictures and tracks, too.")] = False,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Forget a job that has ended."""
    with client_for(endpoint, profile, data_dir, config) as client:
        client.call("DeleteSnapshotJob", JobId=job_id, Outputs=outputs)
    say(f"{job_id} is deleted{', and its files' if outputs else '; its files are still there'}")


def _wait(client: Client, job_id: str) -> int:
    """Wait for a job's end; the exit code."""
    try:
        job = client.wait(job_id, lambda job: say_progress(_progress(job)))
    except KeyboardInterrupt:
        say_progress("")
        say(f"{job_id} goes on without us: stillframe job wait {job_id}")
        raise
    if job["Status"] != "Success":
        print_error(f"job {job_id}: {job['Code']}: {job['Message']}")
        return 1
    say(f"Success, Count {job.get('Count', 0)}: {_object(job['Output'])}")
    return 0


def _progress(job: dict[str, Any]) -> str:
    held_up = f", held up: {job['Message']}" if job["Status"] == "Init" and job.get("Message") else ""
    return f"{job['JobId']}: {job['Progress']} %{held_up}"


def _object(place: dict[str, Any]) -> str:
    """An input or output as people write it."""
    return f"oss://{place['OssFile']['Bucket']}/{place['OssFile']['Object']}"


def _changes(texts: Sequence[str]) -> dict[str, Any]:
    """`Key=Value` as JSON: numbers, true and false as such, all else as text; a dot leads into an object."""
    found: dict[str, Any] = {}
    for text in texts:
        path, separator, value = text.partition("=")
        *parents, last = path.split(".")
        if not separator or not all([*parents, last]):
            raise typer.BadParameter(f"--set {text}: write Key=Value, such as Count=5")
        into = found
        for parent in parents:
            into = into.setdefault(parent, {})
            if not isinstance(into, dict):
                raise typer.BadParameter(f"--set {text}: {parent} was given a value already")
        try:
            into[last] = json.loads(value)
        except ValueError:
            into[last] = value
    return found
