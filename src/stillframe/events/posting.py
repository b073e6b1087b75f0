"""One POST to a receiver: to an address that was checked, in a few seconds, and without a look at the answer's body.

    poster = Poster(allowed=())
    status = await poster.post("https://example.com/callback", {"Content-Type": "application/json"}, b"{}")

The name is resolved once, every address of it is checked, and the connection goes to one that passed: a name server
that says something else the next time is not asked again. Redirects are answers like any other.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from stillframe.events.targets import is_allowed
from stillframe.settings import Network

#: a receiver must have answered by then (`ims_api`, 3.10): with the look-up, the connection and the handshake
ANSWER_S = 3.0
#: of several addresses each but the last has so long to take the connection
_CONNECT_S = 1.0
#: of an answer's body no more is read, and for no longer
_REST_BYTES, _REST_S = 65_536, 0.5


class NotPosted(Exception):
    """There was no answer; its text says why."""


class Poster:
    """Sends messages; any number at the same time, on one event loop."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._backend = _CheckedBackend(allowed)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status that the receiver answers. Raises NotPosted."""
        sent = {"Host": urlsplit(url).netloc, "Content-Length": str(len(body)), **headers}
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await self._pool.handle_async_request(
                    httpcore.Request("POST", url, headers=[*sent.items()], content=body)
                )
        except TimeoutError:
            raise NotPosted(f"no answer within {ANSWER_S:g} s") from None
        except Exception as error:
            raise NotPosted(str(error) or type(error).__name__) from error
        await _take_leave(answer)
        return answer.status

    async def close(self) -> None:
        """Let go of all connections."""
        await self._pool.aclose()

    @functools.cached_property
    def _pool(self) -> httpcore.AsyncConnectionPool:
        # certificates are loaded by who sends something; connections are for one message each
        return httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=self._backend,
        )


async def _take_leave(answer: httpcore.Response) -> None:
    """Read a little of what else it says, and forget it: a receiver that is hung up on in its word may log an error."""
    heard = 0
    try:
        with contextlib.suppress(TimeoutError, httpcore.NetworkError, httpcore.ProtocolError):
            async with asyncio.timeout(_REST_S):
                async for chunk in answer.aiter_stream():
                    heard += len(chunk)
                    if heard > _REST_BYTES:
                        break
    finally:
        await answer.aclose()


class _CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked; TLS goes on to ask for the name."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._inner = httpcore.AnyIOBackend()
        self._lookups: dict[tuple[str, int], asyncio.Task[list[str]]] = {}

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        found = await self._look_up(host, port)
        addresses = [address for address in found if is_allowed(address, self._allowed)]
        if not addresses:
            raise httpcore.ConnectError(f"{host} is at no address that messages may go to")
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, _CONNECT_S, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def _look_up(self, host: str, port: int) -> list[str]:
        """The addresses of a name. A name server that keeps silent holds one thread for each name, however often."""
        lookup = self._lookups.get((host, port))
        if lookup is None:
            lookup = asyncio.create_task(_resolve(host, port))
            self._lookups[host, port] = lookup
            lookup.add_done_callback(functools.partial(self._forget, (host, port)))
        try:
            return await asyncio.shield(lookup)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {error}") from error

    def _forget(self, key: tuple[str, int], lookup: asyncio.Task[list[str]]) -> None:
        del self._lookups[key]
        if not lookup.cancelled():
            # that nobody waits for it any more is no news
            lookup.exception()


async def _resolve(host: str, port: int) -> list[str]:
    found: list[Any] = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [address[0] for *_, address in found]
