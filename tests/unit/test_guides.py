"""Lines of the guides that need nothing but a shell, and that what comes of them is what the service takes."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from stillframe.keyring import Keyring
from stillframe.settings import Settings
from told import GUIDES, commands


@pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed (apt-get install openssl)"
)
def test_the_secrets_for_compose_are_such(tmp_path: Path) -> None:
    lines = [line for line in commands(GUIDES / "one-machine.md", "With Docker Compose") if "secrets" in line]
    assert len(lines) == 6
    script = "\n".join(lines).replace("chown 10001", f"chown {os.geteuid()}").replace("sudo ", "")
    subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, check=True)
    folder = tmp_path / "secrets"
    keyring = Keyring.open(folder / "keyring")
    assert keyring.decrypt(keyring.encrypt("swordfish")) == "swordfish"
    settings = Settings(**tomllib.loads((folder / "stillframe.toml").read_text(encoding="utf-8")))
    password = (folder / "postgres-password").read_text().strip()
    assert settings.database_url is not None
    assert (
        settings.database_url.get_secret_value() == f"postgresql://stillframe:{password}@postgres/stillframe"
    )
    assert {path.name for path in folder.iterdir()} == {"postgres-password", "stillframe.toml", "keyring"}


def test_a_keyring_is_renewed_for_compose(tmp_path: Path) -> None:
    """What is run in a container, and that nothing but the keyring comes out of it."""
    (line,) = [line for line in commands(GUIDES / "rotate-keys.md", "The keyring") if "--entrypoint" in line]
    script = shlex.split(line)[shlex.split(line).index("-ec") + 1]
    old = tmp_path / "keyring"
    stored = Keyring.open(old).encrypt("swordfish")
    for theirs, ours in {"/run/secrets/keyring": old, "/tmp/k": tmp_path / "k"}.items():
        assert theirs in script
        script = script.replace(theirs, str(ours))
    script = script.replace("stillframe keyring", f"{sys.executable} -m stillframe keyring")
    done = subprocess.run(["sh", "-ec", script], capture_output=True, check=True)
    new = tmp_path / "new"
    new.write_bytes(done.stdout)
    new.chmod(0o600)
    keyring = Keyring.open(new)
    assert len(keyring) == 2
    assert keyring.decrypt(stored) == "swordfish"
    assert not keyring.is_by_first(stored)
