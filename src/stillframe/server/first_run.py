"""What a new database begins with: an account, its key, a bucket in the data folder, and a pipeline."""

from __future__ import annotations

from dataclasses import dataclass

from stillframe.accounts.accounts import FIRST_ACCOUNT, Accounts
from stillframe.accounts.keys import AccessKeys, NewKey
from stillframe.catalog.buckets import Buckets
from stillframe.catalog.pipelines import Pipelines
from stillframe.database.engine import Database
from stillframe.errors import ConfigError
from stillframe.service.accounts import open_account
from stillframe.settings import Settings

FIRST_BUCKET = "local"


@dataclass(frozen=True, slots=True)
class FirstRun:
    """What was made; the key's secret is shown this once."""

    key: NewKey
    bucket: str
    place: str


def begin(
    database: Database,
    accounts: Accounts,
    pipelines: Pipelines,
    keys: AccessKeys,
    buckets: Buckets,
    settings: Settings,
) -> FirstRun | None:
    """Make the first account with all that belongs to it; None when there is an account already."""
    if accounts.find(FIRST_ACCOUNT) is not None:
        return None
    folder = (settings.data_dir / "buckets" / FIRST_BUCKET).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # all or nothing: the next start finds an account, and takes the rest for granted
        with database.transaction() as session:
            account_id, key = open_account(FIRST_ACCOUNT, accounts, pipelines, keys, within=session)
            place, region = f"fs:{folder}", settings.region
            bucket = buckets.add(FIRST_BUCKET, account_id, place, region, within=session)
            buckets.choose_storage(account_id, bucket, "", within=session)
    except ConfigError:
        if accounts.find(FIRST_ACCOUNT) is None:
            raise
        # another server has come first, and shows the key
        return None
    return FirstRun(key, bucket.name, bucket.place)
