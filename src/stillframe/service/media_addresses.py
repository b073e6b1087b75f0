"""What a media asset means as the input or the output of a job."""

from __future__ import annotations

from stillframe.catalog.assets import AssetName, Assets, lock, pictures_folder
from stillframe.catalog.buckets import Buckets
from stillframe.database.engine import Database
from stillframe.errors import ConfigError, NotFound
from stillframe.storage.addresses import Address


class MediaAddresses:
    """Finds the objects that stand behind the ids of an account's assets."""

    def __init__(self, database: Database, assets: Assets, buckets: Buckets) -> None:
        self._database = database
        self._assets = assets
        self._buckets = buckets

    def source(self, account_id: str, media_id: str) -> Address:
        """The asset's own object. Raises NotFound."""
        asset = self._assets.get(account_id, AssetName(media_id))
        return Address(asset.bucket, asset.key, asset.region)

    def folder(self, account_id: str, media_id: str, job_id: str) -> Address:
        """The beginning of what a job makes for the asset. Raises NotFound; ConfigError without a default storage."""
        asset = self._assets.get(account_id, AssetName(media_id))
        storage = self._buckets.default_storage(account_id)
        if storage is None:
            allowed = "OSS as long as there is no default storage, which SetDefaultStorageLocation sets"
            raise ConfigError("Output.Type", "Media", allowed)
        return Address(storage.bucket, pictures_folder(storage.path, asset.media_id, job_id))

    def is_there(self, media_id: str) -> bool:
        """Whether the asset was not removed; while it is being removed, this is waited for."""
        try:
            with self._database.transaction() as session:
                lock(session, media_id)
        except NotFound:
            return False
        return True
