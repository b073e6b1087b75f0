"""Keys at rest: the file, its rotation, and what is derived from it."""

from __future__ import annotations

import os
import pickle
import stat
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from stillframe.errors import KeyringError
from stillframe.keyring import Keyring


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyring"


KEYRING = Keyring([Fernet.generate_key().decode()])


@given(st.text())
def test_a_secret_comes_back(secret: str) -> None:
    stored = KEYRING.encrypt(secret)
    assert stored.isascii()
    assert KEYRING.decrypt(stored) == secret
    assert KEYRING.encrypt(secret) != stored


def test_the_file_is_made_once_and_for_its_owner_alone(path: Path) -> None:
    stored = Keyring.open(path).encrypt("swordfish")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Keyring.open(path).decrypt(stored) == "swordfish"
    assert list(path.parent.iterdir()) == [path]


def test_servers_that_start_at_the_same_time_agree_on_one_key(path: Path) -> None:
    together, stored = threading.Barrier(8), []

    def start() -> None:
        together.wait()
        stored.append(Keyring.open(path).encrypt("swordfish"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keyring = Keyring.open(path)
    assert [keyring.decrypt(text) for text in stored] == ["swordfish"] * 8
    assert list(path.parent.iterdir()) == [path]


def test_after_a_rotation_old_secrets_are_read_and_new_ones_use_the_new_key(path: Path) -> None:
    before = Keyring.open(path)
    old_key = path.read_text().splitlines()[-1]
    stored, signing = before.encrypt("swordfish"), before.hmac_key("files")

    added = Keyring.add(path)
    # those who do not have the new key yet can read all that is written now
    assert before.decrypt(added.encrypt("swordfish")) == "swordfish"
    assert added.hmac_key("files") == signing

    assert Keyring.promote(path)
    after = Keyring.open(path)
    assert len(after) == 2
    assert added.decrypt(after.encrypt("swordfish")) == "swordfish"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Keyring.open(path).decrypt(stored) == "swordfish"
    assert after.hmac_key("files") != signing
    assert after.hmac_keys("files") == (after.hmac_key("files"), signing)

    anew = after.encrypt_anew(stored)
    path.write_text(
        "".join(line for line in path.read_text().splitlines(keepends=True) if old_key not in line)
    )
    newest_only = Keyring.open(path)
    assert newest_only.decrypt(anew) == "swordfish"
    with pytest.raises(KeyringError, match="a key that the key file does not hold"):
        newest_only.decrypt(stored)


def test_the_added_key_is_put_first_once(path: Path) -> None:
    """Who does not know whether it was done does it again."""
    Keyring.open(path)
    with pytest.raises(KeyringError, match="has one key alone: run first: stillframe keyring add"):
        Keyring.promote(path)
    path.write_text("# ours, of 2031\n" + path.read_text())
    Keyring.add(path)
    added = path.read_text().splitlines()[-1]
    assert Keyring.promote(path)
    promoted = path.read_text()
    assert next(line for line in promoted.splitlines() if not line.startswith("#")) == added
    assert not Keyring.promote(path)
    assert path.read_text() == promoted
    assert promoted.startswith("# ours, of 2031\n")


def test_a_secret_that_needs_an_older_key_is_known(path: Path) -> None:
    stored = Keyring.open(path).encrypt("swordfish")
    Keyring.add(path)
    assert Keyring.open(path).is_by_first(stored)
    Keyring.promote(path)
    keyring = Keyring.open(path)
    assert (keyring.is_by_first(stored), keyring.knows(stored)) == (False, True)
    assert keyring.is_by_first(keyring.encrypt_anew(stored))
    assert not KEYRING.knows(stored)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to a group")
def test_a_change_leaves_link_owner_group_and_mode(path: Path) -> None:
    Keyring.open(path)
    path.chmod(0o640)
    os.chown(path, 0, 65534)
    link = path.with_name("link")
    link.symlink_to(path.name)
    Keyring.add(link)
    Keyring.promote(link)
    assert link.is_symlink()
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, 65534, 0o640)
    assert {each.name for each in path.parent.iterdir()} == {path.name, "link"}


def test_signing_keys_are_lasting_and_independent(path: Path) -> None:
    keyring = Keyring.open(path)
    assert keyring.hmac_key("files") == Keyring.open(path).hmac_key("files")
    assert len({keyring.hmac_key(purpose) for purpose in ("files", "files ", "console")}) == 3
    assert len(keyring.hmac_key("files")) == 32


def test_a_derived_key_never_changes_with_a_release() -> None:
    keyring = Keyring(["A" * 43 + "="])
    assert keyring.hmac_key("files").hex() == (
        "a1b7a33668dd77bdf098105f139ed19c5521aa4285c3c68de149a566a2df9685"
    )


def test_it_shows_nothing_of_itself(path: Path) -> None:
    keyring = Keyring.open(path)
    key = path.read_text().splitlines()[-1]
    assert repr(keyring) == str(keyring) == "<Keyring of 1 keys>"
    assert key not in f"{keyring!r}{keyring}"
    with pytest.raises(TypeError):
        pickle.dumps(keyring)


@pytest.mark.parametrize("mode", [0o604, 0o660, 0o777])
def test_a_file_that_others_may_read_is_refused(path: Path, mode: int) -> None:
    Keyring.open(path)
    path.chmod(mode)
    # the group of root's may read it: the service may be of it
    right = 600 if os.geteuid() else 640
    with pytest.raises(KeyringError, match=rf"its mode is 0{mode:o}\): run: chmod {right} '.*keyring'"):
        Keyring.open(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(path: Path) -> None:
    Keyring.open(path)
    os.chown(path, 65534, 65534)
    with pytest.raises(KeyringError, match="belongs to the user 65534, but this process is of the user 0"):
        Keyring.open(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(("mode", "is_read"), [(0o440, True), (0o640, True), (0o660, False), (0o644, False)])
def test_root_may_hand_it_to_a_group(path: Path, mode: int, is_read: bool) -> None:
    """As Kubernetes does with a Secret, and systemd with a credential."""
    Keyring.open(path)
    path.chmod(mode)
    os.chown(path, 0, 65534)
    path.parent.chmod(0o755)
    # root's own commands take it as well
    with nullcontext() if is_read else pytest.raises(KeyringError, match="run: chmod 640"):
        Keyring.open(path)
    # the test's folder is open to nobody else: it is opened before
    program = (
        "import os, sys; from pathlib import Path; from stillframe.keyring import Keyring;"
        "os.chdir(sys.argv[1]); os.setgroups([]); os.setgid(65534); os.setuid(65534);"
        "print(Keyring.open(Path('keyring')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path.parent)], capture_output=True, text=True, check=False
    )
    assert ("<Keyring of 1 keys>" in done.stdout) == is_read, done.stderr
    assert is_read or "run: chmod 640 'keyring'" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no key: restore it from a copy"),
        ("# only a comment\n\n", "has no key"),
        ("swordfish\n", "has a line that is not a key"),
        (f"{'A' * 43}=\nswordfish\n", "has a line that is not a key"),
    ],
)
def test_a_damaged_file_is_refused_without_showing_it(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyringError, match=message) as caught:
        Keyring.open(path)
    assert "swordfish" not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert path.read_text() == text


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match=r"missing/keyring: no such file"):
        Keyring.open(tmp_path / "missing" / "keyring")
    (tmp_path / "folder").mkdir()
    with pytest.raises(KeyringError, match=r"folder: is (not a file|a folder)"):
        Keyring.open(tmp_path / "folder")


def test_a_text_that_is_no_secret_of_ours_is_refused() -> None:
    for text in ("", "swordfish", KEYRING.encrypt("x")[:-1]):
        with pytest.raises(KeyringError):
            KEYRING.decrypt(text)
        with pytest.raises(KeyringError):
            KEYRING.encrypt_anew(text)
