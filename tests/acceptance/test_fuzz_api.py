"""A server in a process of its own answers what Schemathesis makes of its document as the document says."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from api_fuzz import Fuzz, Signing

from ims_signer import Acs3
from populated import populate
from served import Served, serve_process
from service_client import Client
from stillframe.ims.registry import ACTIONS
from stillframe.testing import Clip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_process(tmp_path_factory.mktemp("fuzz") / "data") as served:
        yield served


@pytest.fixture(scope="module")
def fuzz(server: Served, film: Clip) -> Iterator[Fuzz]:
    port = int(server.endpoint.rpartition(":")[2])
    with contextlib.closing(Client(port, Acs3(server.access_key_id, server.access_key_secret))) as client:
        world = populate(client, server.bucket, film.path)
        # thousands of large pictures may be asked for: it is the API that is asked here, and not the decoder
        for pipeline in client.call("ListPipelines")["PipelineList"]:
            client.call("UpdatePipeline", PipelineId=pipeline["PipelineId"], Status="Paused")
        url = f"http://{server.endpoint}"
        document = httpx.get(f"{url}/openapi.json", trust_env=False).json()
        yield Fuzz(document, url, Signing(server.access_key_id, server.access_key_secret), world)


@pytest.mark.parametrize(
    ("calls", "least"), [(5 * len(ACTIONS), 0), pytest.param(2000, 5, marks=pytest.mark.full)]
)
def test_every_answer_is_as_documented(
    fuzz: Fuzz, calls: int, least: int, request: pytest.FixtureRequest
) -> None:
    """A fixed sample, or another 2,000 each time; `-p randomly_seed=...` of the run that failed gives those again."""
    is_sample = request.node.get_closest_marker("full") is None
    fuzz.run(calls, 1 if is_sample else random.getrandbits(32))
    assert fuzz.flaws == []
    total: Counter[int] = sum(fuzz.answered.values(), Counter())
    assert total.total() >= calls
    assert total[200] >= 0.3 * total.total()
    assert {action: answered for action, answered in fuzz.answered.items() if answered[200] < least} == {}
