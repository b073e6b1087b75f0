"""A disguised playlist opens nothing: proven with strace, honey files, and listeners that stay silent."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from the_command import COMMAND, files_in, rgb
from traps import TRAPS, Trace, honey_of, lay, silent_ports, traced, why_no_strace

from stillframe.testing import Clip, barcode, videos

WHY_NOT = why_no_strace()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")

#: opens the files as the product does, but without its look at their first bytes; they are read before
READER_ALONE = """
import sys
from pathlib import Path
from stillframe.errors import MediaError
from stillframe.media.reader import VideoReader
from stillframe.media.source import MemorySource
files = [(name, Path(name).read_bytes()) for name in sys.argv[2:]]
# whatever Python still has to import is imported by a good file
VideoReader(MemorySource(Path(sys.argv[1]).read_bytes())).close()
Path("start").touch()
for name, data in files:
    try:
        reader = VideoReader(MemorySource(data, name))
    except MediaError as error:
        print(name, "refused")
        continue
    packets = 0
    while reader.next_packet() is not None:
        packets += 1
    print(name, reader.container.format.name, packets)
"""

#: opens the same files as anyone would; a demuxer that finds nothing by itself is named
CONTROL = """
import io, sys
from pathlib import Path
import av
plans = {
    "ffconcat.mp4": {},
    "sdp.mp4": {},
    "sdp_in_the_middle.mp4": {},
    "hls.mp4": {"format": "hls"},
    "reference.mov": {"options": {"enable_drefs": "1", "use_absolute_path": "1"}},
}
for name, plan in plans.items():
    try:
        with av.open(io.BytesIO(Path(name).read_bytes()), timeout=0.5, **plan) as container:
            print(name, len(list(container.decode(video=0))))
    except (av.FFmpegError, IndexError) as error:
        print(name, type(error).__name__)
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """A run in the folder of the traps: what was traced, and who had knocked at the end."""

    folder: Path
    trace: Trace
    code: int
    out: str
    err: str
    knocks: list[str]


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory, film: Clip) -> Iterator[dict[str, Visit]]:
    """The product, its reader alone, and the control, each in a folder of traps of its own."""
    honey = videos.make(tmp_path_factory.mktemp("honey") / "honey.mov", frames=5)
    commands = {
        "product": [*COMMAND, "snap", *TRAPS, "movie.mp4", "-o", "out/{Name}-{Count}.jpg", "--count", "3"],
        "reader": [sys.executable, "-c", READER_ALONE, "movie.mp4", *TRAPS],
        "control": [sys.executable, "-c", CONTROL],
    }
    made = {}
    with silent_ports() as (ports, knocks):
        for name, command in commands.items():
            folder = tmp_path_factory.mktemp(name)
            lay(folder, honey.path, ports)
            (folder / "movie.mp4").write_bytes(film.path.read_bytes())
            log = folder.with_suffix(".strace")
            made[name] = Visit(folder, *traced(command, folder, log), knocks())
        yield made


def test_the_control_opens_the_honey_and_the_network(visits: dict[str, Visit]) -> None:
    """Else the tests below would prove nothing."""
    control = visits["control"]
    assert control.code == 0, control.err
    opened = {Path(path).name for path in control.trace.opened}
    for trap in ("ffconcat.mp4", "hls.mp4", "reference.mov"):
        assert honey_of(trap) in opened, trap
    assert "ffconcat.mp4 5\n" in control.out
    assert "reference.mov 5\n" in control.out
    assert any("bind(" in call and "127.0.0.1" in call for call in control.trace.network)
    assert any("connect(" in call and "127.0.0.1" in call for call in control.trace.network)
    assert "tcp" in control.knocks


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("visitor", ["product", "reader"])
def test_no_honey_is_touched(visits: dict[str, Visit], visitor: str, trap: str) -> None:
    opened = {Path(path).name for path in visits[visitor].trace.opened}
    assert trap in opened
    assert honey_of(trap) not in opened


@pytest.mark.parametrize("visitor", ["product", "reader"])
def test_nothing_goes_to_the_network(visits: dict[str, Visit], visitor: str) -> None:
    assert visits[visitor].trace.network == []
    assert visits[visitor].knocks == []


def test_the_product_refuses_every_trap_and_shows_the_film(visits: dict[str, Visit], film: Clip) -> None:
    product = visits["product"]
    assert product.code == len(TRAPS)
    assert [line.split(": ")[1] for line in product.err.splitlines()] == list(TRAPS)
    assert product.out.startswith("movie.mp4: 3 stills")
    assert files_in(product.folder / "out") == [f"movie-0000{number}.jpg" for number in (1, 2, 3)]
    assert barcode.read(rgb(product.folder / "out/movie-00002.jpg")) == film.number_at(8000)


def test_the_product_opens_its_sources_its_outputs_and_nothing_else(visits: dict[str, Visit]) -> None:
    first, *others = TRAPS
    # a playlist by its name is looked for in its folder, with a try of how that is done; and is refused all the same
    its_folder = [str(visits["product"].folder), "/", "."]
    expected = [*others, *its_folder, "movie.mp4", *["out/.*.part"] * 3]
    after = visits["product"].trace.after_opening(first).opened
    foreign = [
        re.sub(r"\.[0-9a-f]{16}\.part$", ".*.part", path)
        for path in after
        if not _is_the_interpreters_own(path)
    ]
    assert sorted(foreign) == sorted(expected)


def test_the_reader_alone_refuses_what_its_demuxers_do_not_know(visits: dict[str, Visit]) -> None:
    """The allow-list of demuxers and the empty list of protocols hold by themselves."""
    reader = visits["reader"]
    assert reader.code == 0, reader.err
    told = dict(line.split(" ", 1) for line in reader.out.splitlines())
    assert list(told) == list(TRAPS)
    # the MOV is a MOV: it is opened, and the other file that holds its pictures is not
    assert told.pop("reference.mov") == "mov,mp4,m4a,3gp,3g2,mj2 0"
    assert set(told.values()) == {"refused"}


def test_the_reader_alone_opens_nothing_at_all(visits: dict[str, Visit]) -> None:
    after = visits["reader"].trace.after_opening("start").opened
    assert [path for path in after if not _is_the_interpreters_own(path)] == []


def _is_the_interpreters_own(path: str) -> bool:
    """A module that is imported while the source is open, a library of one, or what these ask the kernel."""
    roots = (sys.prefix, sys.base_prefix, str(Path(__file__).parents[2] / "src"))
    # OpenSSL is loaded with the parser of playlists, which can fetch them, too, and is never asked to
    libraries = r"\.so(\.\d+)*$|^/etc/ld\.so\.cache$|/openssl\.cnf$"
    # how many processors there are (OpenBLAS), and whether memory may be given back (malloc)
    questions = r"^/sys/devices/system/cpu/[a-z]+$|^/proc/(sys/vm/overcommit_memory|cpuinfo|meminfo|stat)$"
    return path.startswith(roots) or bool(re.search(f"{libraries}|{questions}", path))
