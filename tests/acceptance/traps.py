"""Files that name other files or addresses, in the hope that a reader of videos opens those; and strace, which sees it.

Each trap has a honey file of its own, a real video, and shares one TCP and one UDP port on loopback.
"""

from __future__ import annotations

import re
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stillframe.testing import boxes_edit

_CALLS = "open,openat,openat2,creat,socket,connect,bind,sendto,sendmsg"
_OPEN = re.compile(r'\b(?:open|openat|openat2|creat)\(.*?"((?:[^"\\]|\\.)*)"')
_NETWORK = re.compile(r"\b(?:socket|connect|bind|sendto|sendmsg)\(")
_DREF = "moov/trak/mdia/minf/dinf/dref"


@dataclass(frozen=True, slots=True)
class Ports:
    """Two ports on loopback at which nobody may knock."""

    tcp: int
    udp: int


@dataclass(frozen=True, slots=True)
class Trace:
    """What a process and its threads asked of the system, call by call."""

    calls: tuple[str, ...]

    def after_opening(self, name: str) -> Trace:
        """The calls after the one that opened a file of that name; ValueError when none did."""
        for index, call in enumerate(self.calls):
            match = _OPEN.search(call)
            if match and Path(match[1]).name == name:
                return Trace(self.calls[index + 1 :])
        raise ValueError(f"{name} was never opened")

    @property
    def opened(self) -> list[str]:
        """The paths that were opened, or tried."""
        return [match[1] for call in self.calls if (match := _OPEN.search(call))]

    @property
    def network(self) -> list[str]:
        """The calls that have to do with sockets."""
        return [call for call in self.calls if _NETWORK.search(call)]


Write = Callable[[str, Ports, bytes], bytes]


def _ffconcat(honey: str, ports: Ports, video: bytes) -> bytes:
    return f"ffconcat version 1.0\nfile {honey}\n".encode()


def _hls(honey: str, ports: Ports, video: bytes) -> bytes:
    address = f"http://127.0.0.1:{ports.tcp}/a.ts"
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{honey}\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n".encode()


def _sdp(honey: str, ports: Ports, video: bytes) -> bytes:
    return (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=none\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video {ports.udp} RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    ).encode()


def _sdp_in_the_middle(honey: str, ports: Ports, video: bytes) -> bytes:
    """No text, and nothing at its start tells what it is; libav finds the line that begins with c=IN."""
    return b"s=\xff\xfe\xfa\r\n" + _sdp(honey, ports, video).partition(b"s=none\r\n")[2]


def _mpd(honey: str, ports: Ports, video: bytes) -> bytes:
    return (
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT9S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1">'
        f"<BaseURL>http://127.0.0.1:{ports.tcp}/</BaseURL><BaseURL>{honey}</BaseURL></Representation>"
        "</AdaptationSet></Period></MPD>\n"
    ).encode()


def _movie_in_another_file(honey: str, ports: Ports, video: bytes) -> bytes:
    """MOV whose pictures lie in another file, which a QuickTime alias names by its path."""
    path = str(Path(honey).resolve()).encode()
    path += bytes(len(path) % 2)
    # 10 + volume of 1 + 27, 12, name of 1 + 63, 16, two levels, 16; then records: 2 is the path, -1 the end
    alias = bytes(10 + 28 + 12 + 64 + 16 + 4 + 16) + struct.pack(">HH", 2, len(path)) + path + b"\xff\xff\0\0"
    return boxes_edit.replace(video, f"{_DREF}/url ", boxes_edit.full_box("alis", alias))


TRAPS: Mapping[str, Write] = {
    "ffconcat.mp4": _ffconcat,
    "list.ffconcat": _ffconcat,
    "hls.mp4": _hls,
    "index.m3u8": _hls,
    "sdp.mp4": _sdp,
    "session.sdp": _sdp,
    "sdp_in_the_middle.mp4": _sdp_in_the_middle,
    "dash.mp4": _mpd,
    "manifest.mpd": _mpd,
    "reference.mov": _movie_in_another_file,
}


def honey_of(trap: str) -> str:
    """The file that a trap names: its path relative to the folder of both."""
    return f"honey_of_{trap.replace('.', '_')}.mov"


def lay(folder: Path, video: Path, ports: Ports) -> None:
    """Write every trap and its honey, a copy of the video, into the folder."""
    data = video.read_bytes()
    for trap, write in TRAPS.items():
        shutil.copy(video, folder / honey_of(trap))
        honey = honey_of(trap) if write is not _movie_in_another_file else str(folder / honey_of(trap))
        (folder / trap).write_bytes(write(honey, ports, data))


@contextmanager
def silent_ports() -> Iterator[tuple[Ports, Callable[[], list[str]]]]:
    """Two listeners on loopback, and a function that tells who has knocked since."""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        for listener in (tcp, udp):
            listener.bind(("127.0.0.1", 0))
            listener.setblocking(False)
        tcp.listen()

        def knocks() -> list[str]:
            heard = []
            try:
                tcp.accept()[0].close()
                heard.append("tcp")
            except BlockingIOError:
                pass
            try:
                udp.recvfrom(1 << 16)
                heard.append("udp")
            except BlockingIOError:
                pass
            return heard

        yield Ports(tcp.getsockname()[1], udp.getsockname()[1]), knocks


def why_no_strace() -> str | None:
    """Why nothing can be traced here; None where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(
        ["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    return None if tried.returncode == 0 else f"ptrace is not allowed: {tried.stderr.strip()}"


def traced(
    command: Sequence[str], folder: Path, log: Path, timeout_s: float = 60
) -> tuple[Trace, int, str, str]:
    """Run a command in a folder under strace: what it asked for, its exit code, its output and its errors."""
    strace = ["strace", "-f", "-qq", "-e", f"trace={_CALLS}", "-o", str(log)]
    done = subprocess.run(
        [*strace, *command], cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    return Trace(tuple(log.read_text().splitlines())), done.returncode, done.stdout, done.stderr
