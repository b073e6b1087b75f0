"""Where the command begins: Ctrl-C ends it in one line from the first moment on, while it is still being loaded."""

from __future__ import annotations

import os
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and end the process."""
    try:
        from stillframe.cli.main import main as run

        run()
    except KeyboardInterrupt:
        # nothing may be loaded that could say it more nicely
        os.write(2, b"stillframe: interrupted\n")
        os._exit(130)
