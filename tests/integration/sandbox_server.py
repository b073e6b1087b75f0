"""A server with working children, to be killed by test_sandbox_deaths.py: prints its processes, and waits.

    python sandbox_server.py

The children spin, and so never look at their sockets.
"""

from __future__ import annotations

import json
import os
import signal

from stillframe.sandbox.parent import Sandbox

CHILDREN = 3


def main() -> None:
    with Sandbox(entry="sandbox_attacks:spin") as box:
        children = [box.fork() for _ in range(CHILDREN)]
        print(
            json.dumps({"server": os.getpid(), "zygote": box.pid, "children": [c.pid for c in children]}),
            flush=True,
        )
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
