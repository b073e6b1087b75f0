"""A network between a client and a server of this machine, that can be slow, be cut, and lead elsewhere.

with tcp_proxy("/run/postgresql/.s.PGSQL.5432") as proxy:
    proxy.delay_s = 0.1    # each way
    proxy.cut()            # what a client sends is lost from now on: nobody acknowledges, answers or refuses it
    proxy.heal()
    proxy.refuse()         # whoever is connected is hung up on, and nobody is let in
    proxy.target = "/run/other/.s.PGSQL.5432"    # for who connects from now on
"""

from __future__ import annotations

import contextlib
import ctypes
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
#: the shortest program for the kernel's packet filter: of every packet nothing is kept
_DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
_NONE_LEFT = struct.pack("HxxxxxxQ", 1, ctypes.addressof(_DROP_ALL))
_CHUNK = 65536


class TcpProxy:
    """Listens on `port`. `connections` is how many were let in until now."""

    def __init__(self, target: str | tuple[str, int]) -> None:
        self.target = target
        self.delay_s = 0.0
        self.connections = 0
        self._listener = _listening(0)
        self.port: int = self._listener.getsockname()[1]
        self._is_cut = self._is_closed = self._refuses = False
        self._lock = threading.RLock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Lose every packet that comes from a client."""
        with self._lock:
            self._is_cut = True
            _lose_packets(self._listener, True)
            for client, _ in self._pairs:
                _lose_packets(client, True)

    def heal(self, *, old_ones: bool = True) -> None:
        """Lose none any more; without `old_ones` those who were connected before stay cut off for ever."""
        with self._lock:
            self._is_cut = self._refuses = False
            _lose_packets(self._listener, False)
            for client, _ in self._pairs if old_ones else ():
                _lose_packets(client, False)

    def refuse(self) -> None:
        """Hang up on everybody, and on whoever comes."""
        with self._lock:
            self._refuses = True
            for pair in [*self._pairs]:
                self._end(pair, reset=True)

    def close(self) -> None:
        """End all of it."""
        self._is_closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        with self._lock:
            for pair in [*self._pairs]:
                self._end(pair, reset=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                try:
                    server = _connected(self.target)
                except OSError:
                    server = None
                if server is None or self._refuses or self._is_closed:
                    _hang_up(client, reset=True)
                    if server is not None:
                        server.close()
                    continue
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                pair = (client, server)
                self._pairs.add(pair)
                if self._is_cut:
                    _lose_packets(client, True)
            threading.Thread(target=self._carry, args=(pair,), daemon=True).start()

    def _carry(self, pair: tuple[socket.socket, socket.socket]) -> None:
        """What either says, to the other, `delay_s` later."""
        client, server = pair
        on_the_way: deque[tuple[float, socket.socket, bytes]] = deque()
        with contextlib.suppress(OSError, ValueError), selectors.DefaultSelector() as waiting:
            waiting.register(client, selectors.EVENT_READ, server)
            waiting.register(server, selectors.EVENT_READ, client)
            while not self._is_closed:
                pause_s = on_the_way[0][0] - time.monotonic() if on_the_way else 1.0
                for key, _ in waiting.select(max(pause_s, 0)):
                    assert isinstance(key.fileobj, socket.socket)
                    data = key.fileobj.recv(_CHUNK)
                    on_the_way.append((time.monotonic() + self.delay_s, key.data, data))
                    if not data:
                        waiting.unregister(key.fileobj)
                while on_the_way and on_the_way[0][0] <= time.monotonic():
                    _, to, data = on_the_way.popleft()
                    if not data:
                        return self._end(pair)
                    to.sendall(data)
        return self._end(pair)

    def _end(self, pair: tuple[socket.socket, socket.socket], *, reset: bool = False) -> None:
        with self._lock:
            self._pairs.discard(pair)
        for end in pair:
            _hang_up(end, reset=reset)


@contextmanager
def tcp_proxy(target: str | tuple[str, int]) -> Iterator[TcpProxy]:
    """A proxy before what listens at a socket's path, or at a host and port."""
    proxy = TcpProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()


def _listening(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=200)


def _connected(target: str | tuple[str, int]) -> socket.socket:
    if not isinstance(target, str):
        return socket.create_connection(target)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(target)
    except OSError:
        connection.close()
        raise
    return connection


def _lose_packets(end: socket.socket, loses: bool) -> None:
    # one that has ended loses nothing; one that lost nothing has nothing to be taken away
    with contextlib.suppress(OSError):
        if loses:
            end.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _NONE_LEFT)
        else:
            end.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def _hang_up(end: socket.socket, *, reset: bool = False) -> None:
    with contextlib.suppress(OSError):
        if reset:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    end.close()
