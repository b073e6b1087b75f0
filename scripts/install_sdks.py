"""Install the official SDKs that the tests use, each into a folder of its own, since they exclude each other.

python scripts/install_sdks.py          all of tests/acceptance/sdks/*.txt into .sdks/
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PINS = ROOT / "tests" / "acceptance" / "sdks"
FOLDER = ROOT / ".sdks"


def install(name: str) -> Path:
    """The folder of an SDK, for PYTHONPATH. What is there already, and as pinned, is left as it is."""
    pins = PINS / f"{name}.txt"
    target = FOLDER / name
    stamp = target / "installed.txt"
    wanted = f"{sys.version}\n{pins.read_text(encoding='utf-8')}"
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as lock:
        # several processes may want the same one at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            shutil.rmtree(target, ignore_errors=True)
            pip = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-compile",
            ]
            subprocess.run([*pip, "--target", str(target), "--requirement", str(pins)], check=True)
            stamp.write_text(wanted, encoding="utf-8")
    return target


if __name__ == "__main__":
    for path in sorted(PINS.glob("*.txt")):
        install(path.stem)
