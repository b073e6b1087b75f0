"""The keyring of a database that several processes share: they must all have the same one.

The first server leaves a proof in the database, and whoever comes with a keyring that does not open it is refused: what
he encrypted, the others could not read.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, text

from stillframe.accounts.models import AccessKey, KeyringProof
from stillframe.database.engine import Database
from stillframe.errors import KeyringError
from stillframe.keyring import FILE_NAME, Keyring

_ADVISORY_LOCK = 0x5F11_4B3C
_PROVED = "stillframe"
_ADVICE = (
    "all servers and workers on a database need the same keyring: copy it from the data folder of the first server, "
    "or name a copy with keyring_file"
)


def shared_keyring(
    database: Database, data_dir: Path, file: Path | None = None, *, may_make_one: bool = False
) -> Keyring:
    """The data folder's keyring, or what an operator has named, if it is that of the database.

    `may_make_one`: for a database that is new. Raises KeyringError.
    """
    path = file or data_dir / FILE_NAME
    with database.transaction() as session:
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        proof = session.get(KeyringProof, 1)
        # of a database from before there were proofs
        known = (
            proof.encrypted
            if proof is not None
            else session.scalar(select(AccessKey.secret_encrypted).limit(1))
        )
        if known is None and not may_make_one:
            raise KeyringError("no server has been started on this database yet: start one first")
        if known is not None and not path.exists():
            raise KeyringError(f"{path}: is not there: {_ADVICE}")
        keyring = Keyring.of(data_dir, file)
        if known is not None:
            try:
                keyring.decrypt(known)
            except KeyringError as error:
                raise KeyringError(f"{path}: is not the keyring of this database: {_ADVICE}") from error
        if proof is None:
            session.add(KeyringProof(number=1, encrypted=keyring.encrypt(_PROVED)))
        elif may_make_one:
            # by the newest key, so that older ones can be removed after a rotation
            proof.encrypted = keyring.encrypt_anew(proof.encrypted)
    return keyring
