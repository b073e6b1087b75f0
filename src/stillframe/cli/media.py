"""`stillframe media`: the media assets of a server, over its API."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from stillframe.cli.job import Endpoint, Profile, client_for
from stillframe.cli.messages import print_error, say, say_table
from stillframe.cli.settings import ConfigFile, DataDir, Json, group
from stillframe.cli.times import milliseconds

app = group(
    """Register media assets at a server, and look after them. It is found as for `stillframe job`."""
)


@app.command(
    epilog="Example:\n\nstillframe media register oss://local/movie.mp4 --title 'A film' --cover 12.5s"
)
def register(
    source: Annotated[
        str, typer.Argument(metavar="SRC", help="The object: oss://bucket/key.", show_default=False)
    ],
    title: Annotated[str | None, typer.Option(help="A title; the time of now if left out.")] = None,
    tags: Annotated[str | None, typer.Option(help="Up to 16 tags, with commas.")] = None,
    cover_ms: Annotated[
        int | None,
        typer.Option(
            "--cover",
            parser=milliseconds,
            metavar="TIME",
            help="The moment of the picture for its cover, such as 12.5s.",
        ),
    ] = None,
    no_snapshot: Annotated[bool, typer.Option("--no-snapshot", help="Make no cover.")] = False,
    no_sprite: Annotated[bool, typer.Option("--no-sprite", help="Make no sheet.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Put it in the place of an asset that there is of the object.")
    ] = False,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Register an object and print its MediaId. Its file is looked at then."""
    made: dict[str, Any] = {"NeedSnapshot": not no_snapshot, "NeedSprite": not no_sprite}
    if cover_ms is not None:
        made["CoverConfig"] = {"StartTime": cover_ms / 1000}
    with client_for(endpoint, profile, data_dir, config) as client:
        answer = client.call(
            "RegisterMediaInfo",
            InputURL=source,
            Title=title,
            MediaTags=tags,
            RegisterConfig=made,
            Overwrite=overwrite,
        )
    say(answer["MediaId"])


@app.command("list", epilog="Example:\n\nstillframe media list --status PrepareFail")
def list_assets(
    status: Annotated[
        str | None, typer.Option(help="Only those that are Preparing, Normal or PrepareFail.")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, help="How many at most.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object for each asset.")] = False,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """List media assets, the newest first."""
    with client_for(endpoint, profile, data_dir, config) as client:
        assets = list(client.assets(status, most))
    if as_json:
        for asset in assets:
            say(json.dumps(asset, separators=(",", ":")))
        return
    columns = ("MediaId", "Status", "MediaType", "CreateTime", "Title", "InputURL")
    say_table(columns, [[asset.get(column, "") for column in columns] for asset in assets])


@app.command(epilog="Example:\n\nstillframe media show oss://local/movie.mp4 --json")
def show(
    media: Annotated[
        str,
        typer.Argument(metavar="ID", help="The MediaId, or the address of the object.", show_default=False),
    ],
    as_json: Json = False,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Show all that there is to know of an asset."""
    named = {"InputURL" if "://" in media else "MediaId": media}
    with client_for(endpoint, profile, data_dir, config) as client:
        asset = client.call("GetMediaInfo", **named)["MediaInfo"]
    if as_json:
        say(json.dumps(asset, separators=(",", ":")))
        return
    files = [file["FileBasicInfo"] for file in asset["FileInfoList"]]
    for facts, names in ((asset["MediaBasicInfo"], _SHOWN), *((file, _SHOWN_OF_FILE) for file in files)):
        for name in names:
            if name in facts:
                say(f"{name:15} {facts[name]}".replace("\n", "\\n").replace("\r", "\\r"))


_SHOWN = (
    *("MediaId", "Title", "Status", "Code", "Message", "MediaType", "BusinessType", "InputURL", "MediaTags"),
    *("ReferenceId", "UserData", "CreateTime", "ModifiedTime", "CoverURL", "Snapshots", "SpriteImages"),
)
_SHOWN_OF_FILE = ("FormatName", "Duration", "Bitrate", "Width", "Height", "FileSize", "FileUrl")


@app.command(epilog="Example:\n\nstillframe media delete 5a0c8f6b2f0e4d3a9b7c6d5e4f3a2b1c --files")
def delete(
    media_ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="The MediaIds.", show_default=False)
    ],
    files: Annotated[bool, typer.Option("--files", help="Remove the objects and the pictures, too.")] = False,
    endpoint: Endpoint = None,
    profile: Profile = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> int:
    """Forget media assets; the exit code says how many are still there."""
    with client_for(endpoint, profile, data_dir, config) as client:
        told = client.call("DeleteMediaInfos", MediaIds=",".join(media_ids), DeletePhysicalFiles=files)
    for media_id in told["IgnoredList"]:
        print_error(f"there is no media asset {media_id}")
    for media_id in told["ForbiddenList"]:
        print_error(f"{media_id}: its files may not, or can not, be removed; it is still there")
    left = {*told["IgnoredList"], *told["ForbiddenList"]}
    for media_id in dict.fromkeys(media_ids):
        if media_id not in left:
            say(f"{media_id} is deleted{', and its files' if files else '; its files are still there'}")
    return min(len(left), 63)
