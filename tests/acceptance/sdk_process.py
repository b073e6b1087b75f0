"""An official SDK in a process of its own, driven line by line; the next test that wants one has the same process.

with SdkProcess("ice6", endpoint="127.0.0.1:8080") as sdk:
    sdk.call("GetSnapshotJob", JobId="...")
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).parent / "sdks"
INSTALL = runpy.run_path(str(HERE.parents[2] / "scripts" / "install_sdks.py"))["install"]


class SdkError(Exception):
    """What the SDK raised: `told` is its type, code, message and the rest of what its user sees."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told)
        self.told = told


class SdkProcess:
    """Clients of one SDK; `settings` go to their constructor, where a call says nothing else."""

    def __init__(self, sdk: str, **settings: str) -> None:
        self._settings = {"access_key_id": "testAK", "access_key_secret": "testSecret", **settings}
        self._sdk = sdk

    def __enter__(self) -> Self:
        idle = _IDLE[self._sdk]
        self._process = idle.pop() if idle else _started(self._sdk)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._process.poll() is None:
            _IDLE[self._sdk].append(self._process)
        else:
            # perhaps in the middle of an answer
            _end(self._process)

    def call(
        self,
        action: str,
        *,
        settings: dict[str, str] | None = None,
        order: dict[str, Any] | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        """The answer as the SDK's user sees it. Raises SdkError for what the SDK raises.

        `settings` are for this call's client alone. `order` says how it is to be sent: further `queries`, and
        for the core SDK `method` and `where`.
        """
        line = {
            "queries": {},
            **(order or {}),
            "settings": self._settings | (settings or {}),
            "action": action,
            "parameters": parameters,
        }
        answer: dict[str, Any] = self._asked(line)
        return answer

    def documented(self, action: str) -> dict[str, Any] | None:
        """The fields that the SDK knows of an answer, with their types as in `ims_answers`; None: no such action."""
        answer: dict[str, Any] | None = self._asked({"documented": action})
        return answer

    def printed(self, program: str, environment: Mapping[str, str]) -> str:
        """What a program prints that calls the SDK. Raises SdkError for what it raises."""
        told: str = self._asked({"program": program, "environment": {**environment}})
        return told

    def _asked(self, line: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        if "error" in told:
            raise SdkError(told["error"])
        return told["answer"]


#: to load an SDK takes up to a second; each of these is at the beginning of a line
_IDLE: defaultdict[str, list[subprocess.Popen[str]]] = defaultdict(list)


def _started(sdk: str) -> subprocess.Popen[str]:
    driver = HERE / ("drive_core.py" if sdk == "core" else "drive_ice.py")
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    return subprocess.Popen(
        [sys.executable, str(driver)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment | {"PYTHONPATH": str(INSTALL(sdk)), "PYTHONIOENCODING": "utf-8"},
    )


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    process.wait()


@atexit.register
def _end_all() -> None:
    for processes in _IDLE.values():
        while processes:
            _end(processes.pop())
