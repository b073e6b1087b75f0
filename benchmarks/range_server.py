"""A store a little away: serves a folder's files by ranges, each answer late, and counts what it sends.

python benchmarks/range_server.py FOLDER [--port 0] [--delay-ms 30] [--mbit 100]

It prints its port. GET and HEAD of /bucket/NAME answer as an S3 store does (ranges, ETag, If-Match; signatures are
not looked at); GET /-/counts gives the requests and bytes since it was last asked, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_PIECE_BYTES = 64 << 10


@dataclass
class Counts:
    """What was asked for and sent since somebody looked."""

    requests: int = 0
    bytes_sent: int = 0
    connections: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Wire:
    """The way to the store: seconds added to each answer, bytes a second that all connections share."""

    delay_s: float
    bytes_a_second: float | None
    free_at: float = 0.0

    async def carry(self, number: int) -> None:
        """Wait until so many bytes have gone over the wire."""
        if self.bytes_a_second is not None:
            now = asyncio.get_running_loop().time()
            self.free_at = max(self.free_at, now) + number / self.bytes_a_second
            await asyncio.sleep(self.free_at - now)


class RangeServer:
    """Answers requests for the files of one folder."""

    def __init__(self, folder: Path, wire: Wire) -> None:
        self._folder = folder
        self._wire = wire
        self._counts = Counts()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, up to its end."""
        is_first = True
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").split("\r\n")
                method, target, _ = first.split(" ", 2)
                fields = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
                path = unquote(urlsplit(target).path)
                if path == "/-/counts":
                    await self._tell_counts(writer)
                    continue
                if is_first:
                    self._counts.connections += 1
                await asyncio.sleep(self._wire.delay_s)
                is_first = False
                await self._answer(method, path, fields, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _tell_counts(self, writer: asyncio.StreamWriter) -> None:
        data = json.dumps(asdict(self._counts)).encode()
        self._counts = Counts()
        writer.write(_head(200, {"Content-Length": str(len(data))}) + data)
        await writer.drain()

    async def _answer(
        self, method: str, path: str, fields: dict[str, str], writer: asyncio.StreamWriter
    ) -> None:
        self._counts.requests += 1
        file = self._folder / path.rpartition("/")[2]
        if not file.is_file():
            writer.write(_head(404, {"Content-Length": "0"}))
            return
        facts = file.stat()
        etag = f'"{facts.st_size:x}-{facts.st_mtime_ns:x}"'
        if fields.get("if-match", etag) != etag:
            writer.write(_head(412, {"Content-Length": "0"}))
            return
        first, end, status = 0, facts.st_size, 200
        if matched := _RANGE.fullmatch(fields.get("range", "")):
            status = 206
            if matched[1]:
                first = int(matched[1])
                end = min(int(matched[2]) + 1, end) if matched[2] else end
            else:
                first = max(end - int(matched[2]), 0)
        answer = {
            "Content-Length": str(end - first),
            "Accept-Ranges": "bytes",
            "ETag": etag,
            "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
        }
        if status == 206:
            answer["Content-Range"] = f"bytes {first}-{end - 1}/{facts.st_size}"
        writer.write(_head(status, answer))
        if method == "HEAD":
            return
        self._counts.ranges.append((first, end - first))
        with file.open("rb", buffering=0) as data:
            data.seek(first)
            while first < end and (piece := data.read(min(_PIECE_BYTES, end - first))):
                await self._wire.carry(len(piece))
                writer.write(piece)
                await writer.drain()
                first += len(piece)
                self._counts.bytes_sent += len(piece)


def _head(status: int, fields: dict[str, str]) -> bytes:
    words = {200: "OK", 206: "Partial Content", 404: "Not Found", 412: "Precondition Failed"}[status]
    lines = [f"HTTP/1.1 {status} {words}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join((*lines, "", "")).encode()


async def _run(options: argparse.Namespace) -> None:
    rate = options.mbit * 1e6 / 8 if options.mbit else None
    served = RangeServer(options.folder, Wire(options.delay_ms / 1000, rate))
    server = await asyncio.start_server(served.serve, "127.0.0.1", options.port)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        # whoever started it ends it by closing its standard input; connections end with the process
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        os._exit(0)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="Serve a folder by ranges, late, and count.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-ms", type=float, default=30.0, help="added to every answer (default: 30)")
    parser.add_argument("--mbit", type=float, help="megabits a second that all connections share")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
