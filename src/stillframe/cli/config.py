"""`stillframe config`: the settings in force."""

from __future__ import annotations

import json

from stillframe.cli.messages import say, say_table
from stillframe.cli.settings import ConfigFile, DataDir, Json, group

app = group("Look at the settings.")


@app.command(epilog="Example:\n\nSTILLFRAME_PORT=9000 stillframe config show")
def show(as_json: Json = False, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Show every setting with its origin: default, the file, the variable or the option. Secrets are masked."""
    from stillframe.settings import load_settings

    shown = load_settings(config, data_dir=data_dir).shown()
    if as_json:
        say(json.dumps({name: {"value": value, "origin": origin} for name, (value, origin) in shown.items()}))
        return
    say_table(("setting", "value", "from"), [(name, *pair) for name, pair in shown.items()])


@app.callback()
def _group() -> None:
    """Look at the settings."""
