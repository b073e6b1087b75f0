"""A store behind a proxy that can refuse: moto's S3, as far as `make moto` has installed it."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import opendal

from faulty_proxy import FaultyProxy, faulty_proxy
from moto_server import INSTALLER, MotoServer, running_moto

_BUCKET = "drill"


@dataclass(frozen=True)
class FarStore:
    """One bucket. `keys` is what a process has in its environment that may write there."""

    proxy: FaultyProxy
    keys: Mapping[str, str]
    #: the proxy is not asked by these
    _moto: MotoServer
    _directly: opendal.Operator

    @property
    def place(self) -> str:
        """As an operator would name it."""
        return f"s3://{_BUCKET}?endpoint={self.proxy.endpoint}"

    def files(self, folder: str) -> Mapping[str, bytes]:
        """The objects under a folder, by their keys from there."""
        prefix = f"{folder}/"
        return {
            key.removeprefix(prefix): bytes(self._directly.read(key)) for key in self._keys_of_objects(prefix)
        }

    def _keys_of_objects(self, prefix: str) -> list[str]:
        # moto finds a wrong signature at a list with a prefix
        asked = {"list-type": "2", "prefix": prefix, "max-keys": "1000"}
        with self._moto.unchecked():
            listed = httpx.get(f"{self._moto.endpoint}/{_BUCKET}", params=asked, trust_env=False)
        listed.raise_for_status()
        assert "<IsTruncated>false" in listed.text, f"more than 1,000 objects under {prefix}"
        return re.findall("<Key>(.+?)</Key>", listed.text)


@contextmanager
def far_store(folder: Path) -> Iterator[FarStore | None]:
    """A new one; None where moto is not installed."""
    packages = runpy.run_path(str(INSTALLER))["moto"]()
    if packages is None:
        yield None
        return
    with running_moto(packages, folder / "log-moto") as moto, faulty_proxy(moto.port) as proxy:
        moto.make_bucket(_BUCKET)
        keys = moto.user("drill", "s3:*")
        told = {
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        directly = opendal.Operator(
            "s3",
            bucket=_BUCKET,
            endpoint=moto.endpoint,
            region="us-east-1",
            access_key_id=keys.access_key_id,
            secret_access_key=keys.secret,
            disable_config_load="true",
            disable_ec2_metadata="true",
        )
        yield FarStore(proxy, told, moto, directly)
