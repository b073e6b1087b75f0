"""`stillframe bucket`: the names that API users write, and the places they stand for."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stillframe.cli.messages import say, say_table
from stillframe.cli.settings import ConfigFile, DataDir, Json, group, operating

app = group("Bind bucket names to places, list them and remove them.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="As in oss://NAME/key.", show_default=False)]


@app.command(epilog="Example:\n\nstillframe bucket add videos --to fs:/srv/videos")
def add(
    name: Name,
    to: Annotated[str, typer.Option("--to", help="Where it lies: fs: and the path of a folder.")],
    region: Annotated[
        str | None, typer.Option(help="Its region, as in an object's URL; the setting `region` if not given.")
    ] = None,
    data_dir: DataDir = None,
    config: ConfigFile = None,
) -> None:
    """Bind a name to a place, which is written to and read once."""
    with operating(config, data_dir) as operator:
        region = region or operator.settings.region
        added = operator.buckets.add(name, operator.account_id(), to, region)
    say(f"oss://{added.name}  ->  {added.place}  ({added.region})")


@app.command("list", epilog="Example:\n\nstillframe bucket list")
def list_buckets(as_json: Json = False, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """List the buckets."""
    with operating(config, data_dir) as operator:
        rows = [(bucket.name, bucket.place, bucket.region) for bucket in operator.buckets.all()]
    if as_json:
        say(json.dumps([dict(zip(("Name", "Place", "Region"), row, strict=True)) for row in rows]))
        return
    say_table(("Name", "Place", "Region"), rows)


@app.command(epilog="Example:\n\nstillframe bucket remove videos")
def remove(name: Name, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Forget a bucket. What lies in it stays where it is."""
    with operating(config, data_dir) as operator:
        operator.buckets.remove(name)
    say(f"oss://{name} is removed; its files are still there")
