"""`stillframe console`: how people get in to the console of a server."""

from __future__ import annotations

from stillframe.cli.messages import say
from stillframe.cli.settings import Account, ConfigFile, DataDir, group, operating

app = group("Let people in to the console, which a server has at /console.")


@app.callback()
def console() -> None:
    """Let people in to the console, which a server has at /console."""


@app.command(epilog="Example:\n\nstillframe console link")
def link(account: Account = None, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Print a link that logs in once, within the hour, and may do all that the account may."""
    from stillframe.console.login import link_of

    with operating(config, data_dir) as operator:
        token = operator.login_links.make(operator.account_id(account))
        say(link_of(operator.console_url(), token))
