"""`stillframe serve`: one process that does it all, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import structlog
import uvicorn
from sqlalchemy import URL
from starlette.types import ASGIApp

from stillframe.database.embedded import EmbeddedPostgres
from stillframe.database.engine import with_driver
from stillframe.errors import DataFolderInUse, SettingsError, os_reason
from stillframe.server.address import address_of, announced
from stillframe.server.assembly import Assembly
from stillframe.server.connections import connection_options
from stillframe.server.first_run import FirstRun
from stillframe.settings import Settings
from stillframe.telemetry import Metrics, configure_logging

_BACKLOG = 2048
#: longer than proxies keep theirs (nginx: 60 s), so that none sends a request into a connection that is being closed
_KEEP_ALIVE_S = 75
#: how often the date of the answers is set
_CLOCK_S = 1.0
log = structlog.get_logger(__name__)

#: told when the server takes requests: what to say to people
OnReady = Callable[[Assembly, FirstRun | None], None]


def serve(settings: Settings, on_ready: OnReady, *, works: bool = True) -> None:
    """Serve until a signal ends it; then drain. Raises StillframeError when it cannot be started.

    Without `works` jobs are taken, and left to workers.
    """
    configure_logging(format=settings.log_format, level=settings.log_level)
    try:
        listener = listen(settings)
    except SettingsError:
        if settings.database_url is None and (running := address_of(settings.data_dir)) is not None:
            # another port would not help
            raise DataFolderInUse(str(settings.data_dir), None, running) from None
        raise
    metrics = Metrics()
    with _database(settings, metrics.database_restarts.inc) as (url, owned):
        assembly = Assembly(settings, url, owns_database=owned, metrics=metrics)
        try:
            host, port = listener.getsockname()[:2]
            local_url = f"http://{_bracketed(host)}:{port}"
            if settings.public_url is None:
                assembly.public_url = local_url
            assembly.start(works=works)
            # last: a key that was made is shown
            first = assembly.first_run()
            with announced(settings.data_dir, local_url):
                run(assembly, assembly.app(), listener, lambda: on_ready(assembly, first))
        finally:
            assembly.stop()
            log.info("stopped")
    if assembly.is_hurried:
        # the second Ctrl-C
        sys.exit(130)


@contextlib.contextmanager
def _database(settings: Settings, on_restart: Callable[[], None]) -> Iterator[tuple[URL, bool]]:
    """The database's address, and whether it is this process's alone."""
    if settings.database_url is not None:
        yield with_driver(settings.database_url.get_secret_value()), False
        return
    with EmbeddedPostgres(settings.data_dir, on_restart=on_restart) as postgres:
        yield postgres.url, True


def listen(settings: Settings) -> socket.socket:
    """A socket on the settings' host and port. Raises SettingsError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # with the protocol named, asyncio turns off the delay of small answers
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":
            # who leaves an answer unread for so long is hung up on; connections have it from their listener
            patience_ms = round(settings.request_seconds * 1000)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience_ms)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        reason = os_reason(error) if error.errno else str(error)
        raise SettingsError(
            "port",
            "the address to listen on",
            f"{settings.host}:{settings.port}: {reason}; try another --port",
        ) from error
    return listener


def run(
    assembly: Assembly, app: ASGIApp, listener: socket.socket | None, on_ready: Callable[[], None]
) -> None:
    """Answer requests until a signal comes; without a listener just wait for it."""
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            # it would write the tokens of signed links; requests are logged by the API itself
            access_log=False,
            server_header=False,
            lifespan="off",
            # `server.proxies` does it
            proxy_headers=False,
            **connection_options(assembly.settings.request_seconds),
            timeout_graceful_shutdown=5,
            timeout_keep_alive=_KEEP_ALIVE_S,
        ),
        assembly.end_streams,
    )
    is_stopping = False
    if threading.current_thread() is threading.main_thread():

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal is_stopping
            if is_stopping and number == signal.SIGINT:
                # the second Ctrl-C: nobody is waited for, but all is left behind in order
                server.force_exit = True
                assembly.hurry()
            elif not is_stopping:
                is_stopping = True
                server.end()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
    # from now on, a signal ends it in order
    on_ready()
    if listener is not None:
        server.run(sockets=[listener])
    else:
        _wait_for_signals(lambda: is_stopping)
    # a second Ctrl-C gives back at once what is in work
    log.info("draining", tasks=assembly.running.number, most_seconds=assembly.settings.drain_seconds)


def _wait_for_signals(is_over: Callable[[], bool]) -> None:
    """Let the handlers of signals run, in the main thread, until it is over.

    A signal may come to any thread, and whoever waits for a lock in the main one would not hear of it: the system says
    so on a socket, too.
    """
    hears, tells = socket.socketpair()
    with hears, tells:
        tells.setblocking(False)
        before = signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
        try:
            while not is_over():
                hears.recv(1)
        finally:
            signal.set_wakeup_fd(before)


class _Server(uvicorn.Server):
    """Uvicorn looks at its clock ten times a second by itself; this one sleeps until there is something to do."""

    def __init__(self, config: uvicorn.Config, on_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_end = on_end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `run`."""
        yield

    async def main_loop(self) -> None:
        """Keep the date of the answers current, until `end` is called."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _CLOCK_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for the answers that are on their way; streams have no end of their own."""
        self._on_end()
        await super().shutdown(sockets)

    def end(self) -> None:
        """Take no more requests, and end. From a signal's handler, or any thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)


def _bracketed(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
