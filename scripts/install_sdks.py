"""Install what tests use and the rest does not go with, each into a folder of its own: the official SDKs, and moto.

python scripts/install_sdks.py          all of tests/acceptance/sdks/*.txt into .sdks/
python scripts/install_sdks.py moto     tests/moto.txt into .moto/

Where moto cannot be installed the tests that need it are left out, and say so; with CI_OBJECT_STORE=required that is an
error.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PINS = ROOT / "tests" / "acceptance" / "sdks"
FOLDER = ROOT / ".sdks"
MOTO_PINS = ROOT / "tests" / "moto.txt"
MOTO = ROOT / ".moto" / "packages"


def install(name: str) -> Path:
    """The folder of an SDK, for PYTHONPATH. What is there already, and as pinned, is left as it is."""
    return _install_apart(PINS / f"{name}.txt", FOLDER / name)


def moto() -> Path | None:
    """The folder of moto, where it was installed."""
    return MOTO if _is_installed(MOTO_PINS, MOTO) else None


def install_moto() -> None:
    try:
        _install_apart(MOTO_PINS, MOTO)
    except subprocess.CalledProcessError:
        if os.environ.get("CI_OBJECT_STORE") == "required":
            raise
        print("moto was not installed: the tests that need it will be left out", file=sys.stderr)


def _install_apart(pins: Path, target: Path) -> Path:
    target.parent.mkdir(exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        # several processes may want the same one at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_installed(pins, target):
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
            (target / _STAMP).write_text(_wanted(pins), encoding="utf-8")
    return target


def _is_installed(pins: Path, target: Path) -> bool:
    stamp = target / _STAMP
    return stamp.exists() and stamp.read_text(encoding="utf-8") == _wanted(pins)


def _wanted(pins: Path) -> str:
    """What is pinned, and for which Python."""
    return f"{sys.version}\n{pins.read_text(encoding='utf-8')}"


_STAMP = "installed.txt"

if __name__ == "__main__":
    if sys.argv[1:] == ["moto"]:
        install_moto()
    else:
        for path in sorted(PINS.glob("*.txt")):
            install(path.stem)
