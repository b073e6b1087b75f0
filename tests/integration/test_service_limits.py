"""Limits of the API that an operator sets: requests a second, and the size of a body."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import URL

from ims_signer import Acs3
from service_client import Refused, Service, service


@pytest.fixture
def running(database_url: URL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    limits = {"requests_per_second": 0.001, "max_body_bytes": 2000}
    with service(database_url, tmp_path_factory.mktemp("data"), slots=1, **limits) as started:
        yield started


def test_too_many_requests(running: Service) -> None:
    """They are refused before anything is looked up, with the time to wait; another account is not concerned."""
    running.client.call("ListSnapshotJobs")
    with pytest.raises(Refused) as caught:
        running.client.call("ListSnapshotJobs")
    assert (caught.value.status, caught.value.code) == (400, "Throttling.User")
    running.client.call("ListPipelines")
    with running.account("another") as (account_id, client):
        client.call("ListSnapshotJobs")
        key = running.assembly.keys.create(account_id)
    signed = Acs3(key.access_key_id, key.secret).sign(
        "POST", f"127.0.0.1:{running.port}", "ListSnapshotJobs", []
    )
    answer = httpx.post(
        f"http://127.0.0.1:{running.port}{signed.target}", headers=signed.headers, trust_env=False
    )
    assert answer.json()["Code"] == "Throttling.User"
    assert 0 < int(answer.headers["x-acs-retry-after"]) <= 1_000_000


@pytest.mark.parametrize(("size", "code"), [(1000, "InvalidParameter"), (3000, "RequestEntityTooLarge")])
def test_a_body_that_is_too_large(running: Service, size: int, code: str) -> None:
    with pytest.raises(Refused) as caught:
        running.client.call("GetSnapshotJob", JobId="x" * size)
    assert caught.value.code == code
