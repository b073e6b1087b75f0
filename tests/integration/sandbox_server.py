"""A server with working children, to be killed by test_sandbox_deaths.py: prints its processes, and waits.

    python sandbox_server.py [copied]

The children spin, and so never look at their sockets. With `copied`, another process, which has nothing to do
with them, holds a copy of all that the server has open.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from stillframe.sandbox.parent import Sandbox

CHILDREN = 3


def main() -> None:
    with Sandbox(entry="sandbox_attacks:spin") as box:
        children = [box.fork() for _ in range(CHILDREN)]
        holder = os.fork() if "copied" in sys.argv[1:] else None
        if holder != 0:
            processes = {
                "server": os.getpid(),
                "zygote": box.pid,
                "children": [child.pid for child in children],
                "holder": holder,
            }
            print(json.dumps(processes), flush=True)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
