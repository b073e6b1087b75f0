"""The API over real HTTP on loopback, with keys, nonces and jobs in memory."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvicorn
from cryptography.fernet import Fernet
from starlette.applications import Starlette
from starlette.routing import Mount

from documented_errors import demand_documented
from ims_signer import Acs3, RpcV1, Signed
from jobs_in_memory import JobsInMemory
from stillframe.accounts.signatures import KeyFacts, Principal, TokenState
from stillframe.catalog.assets import Assets
from stillframe.catalog.buckets import Buckets
from stillframe.catalog.pipelines import Pipelines
from stillframe.catalog.templates import Templates
from stillframe.database.engine import Database, make_engine
from stillframe.errors import Unavailable
from stillframe.events.callbacks import Callbacks
from stillframe.events.outbox import Outbox
from stillframe.ims.calls import Calls, Served
from stillframe.ims.endpoint import Endpoint
from stillframe.jobs.everywhere import Everywhere
from stillframe.jobs.probe_step import ProbeStep
from stillframe.jobs.queue import Queue
from stillframe.jobs.running import Running
from stillframe.keyring import Keyring
from stillframe.server.connections import connection_options
from stillframe.service.asset_removal import AssetRemoval
from stillframe.service.assets import MediaAssets
from stillframe.service.backlog import Backlog
from stillframe.service.event_callbacks import EventCallbacks
from stillframe.service.file_links import FileLinks
from stillframe.service.media_addresses import MediaAddresses
from stillframe.service.pipelines import PipelineControl
from stillframe.service.probe_jobs import ProbeJobs
from stillframe.service.reserved_slot import ReservedSlot
from stillframe.service.templates import TemplateKeeper
from stillframe.service.use_cases import Services

DEADLINE_S = 60
GOOD = Acs3("testAK", "testSecret")

KEYS = {
    "testAK": KeyFacts("testAK", "testSecret", "1001", principal=Principal("7", "alice")),
    "otherAK": KeyFacts("otherAK", "otherSecret", "1002"),
    "oldAK": KeyFacts("oldAK", "oldSecret", "1001", active=False),
    "STS.testAK": KeyFacts("STS.testAK", "testSecret", "1001", temporary=True),
}
TOKENS = {
    "tok/en+==": TokenState.VALID,
    "expired": TokenState.EXPIRED,
    "foreign": TokenState.FOREIGN,
}


def _no_decoder() -> ProbeStep:
    raise Unavailable("decoder")


class NoncesInMemory:
    """Nonces that were used, as a set."""

    def __init__(self) -> None:
        self.used: dict[tuple[str, str], datetime] = {}

    def use(self, nonce: str, access_key_id: str, until: datetime) -> bool:
        # setdefault is atomic: two threads with the same nonce do not both win
        return self.used.setdefault((nonce, access_key_id), until) is until


@dataclass
class ImsServer:
    """A running server. `clock_ahead` moves its clock."""

    jobs: JobsInMemory = field(default_factory=JobsInMemory)
    nonces: NoncesInMemory = field(default_factory=NoncesInMemory)
    served: list[Served] = field(default_factory=list)
    clock_ahead: timedelta = timedelta()
    port: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=DEADLINE_S, trust_env=False))

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def endpoint(self) -> Endpoint:
        # what is asked of them here ends before there is a question to the database
        nowhere = Database(make_engine("postgresql://127.0.0.1:1/none"))
        templates, pipelines, buckets = Templates(nowhere), Pipelines(nowhere), Buckets(nowhere)
        assets = MediaAssets(
            nowhere,
            Queue(),
            Outbox(nowhere),
            buckets,
            Assets(nowhere),
            AssetRemoval(
                nowhere, Outbox(nowhere), buckets, self.jobs, Everywhere(nowhere, Queue(), Running(), None)
            ),
            FileLinks(lambda: "", b"a signing key for nothing"),
        )
        callbacks = EventCallbacks(Callbacks(nowhere, Keyring([Fernet.generate_key().decode()])), allowed=())
        services = Services(
            self.jobs,
            templates,
            TemplateKeeper(templates),
            buckets,
            pipelines,
            PipelineControl(nowhere, Queue()),
            callbacks,
            assets,
            ProbeJobs(
                nowhere,
                Queue(),
                MediaAddresses(nowhere, Assets(nowhere), buckets),
                Backlog(nowhere, 1),
                ReservedSlot(0),
                _no_decoder,
                seconds=1.0,
            ),
        )
        of_calls = ("authorize", "throttle", "is_unavailable")
        options = {name: value for name, value in self.options.items() if name not in of_calls}
        checks = {name: value for name, value in self.options.items() if name in of_calls}
        return Endpoint(
            Calls(services, observe=self.served.append, **checks),
            keys=KEYS.get,
            nonces=self.nonces,
            tokens=lambda token, _: TOKENS.get(token, TokenState.MALFORMED),
            now=lambda: datetime.now(UTC) + self.clock_ahead,
            **options,
        )

    def send(self, signed: Signed) -> httpx.Response:
        """Send a signed request as it is."""
        url = f"http://{self.host}{signed.target}"
        return self.client.request(signed.method, url, headers=signed.headers, content=signed.body)

    def call(self, action: str, signer: Acs3 | RpcV1 = GOOD, /, **parameters: str) -> Any:
        """The answer's object of a request signed by a key that may."""
        told = self.send(signer.sign("POST", self.host, action, [*parameters.items()])).json()
        if "Code" in told:
            demand_documented(action, told["Code"])
        return told


@contextlib.contextmanager
def serving(**options: Any) -> Iterator[ImsServer]:
    """A server in a thread of its own; `options` go to the endpoint, and to its calls."""
    server = ImsServer(options=options)
    with over_http(Starlette(routes=[Mount("/", server.endpoint())])) as port:
        server.port = port
        try:
            yield server
        finally:
            server.client.close()


@contextlib.contextmanager
def over_http(app: Starlette) -> Iterator[int]:
    """An application on a port of loopback, in a thread of its own."""
    # asyncio sets TCP_NODELAY only on sockets that say that they are TCP; else each answer takes 40 ms longer
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app,
            log_level="error",
            lifespan="off",
            ws="none",
            **connection_options(30),
            timeout_graceful_shutdown=5,
        )
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            deadline = time.monotonic() + DEADLINE_S
            while not running.started:
                assert thread.is_alive(), "the server did not start"
                assert time.monotonic() < deadline
                thread.join(0.01)
            yield int(listener.getsockname()[1])
        finally:
            running.should_exit = True
            thread.join()
