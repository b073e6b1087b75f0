"""What a decoder that was taken over might try. Each attempt does it, or raises.

`attempt` runs in the sandbox's child once it is locked in: it hears the name of an attempt and its aims, and
tells what came of it. The same attempts are made by a process that is not locked in, as a control.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

GIB = 1 << 30
_LIBC = ctypes.CDLL(None, use_errno=True)
#: unlike PTRACE_ATTACH, it does not stop the other
_PTRACE_SEIZE, _PR_SET_PDEATHSIG = 0x4206, 1
_CLONE_NEWUSER = 0x10000000
_IO_URING_SETUP = 425
_MAP_NORESERVE = 0x4000
_PROBED_DESCRIPTORS = 1024

Aims = dict[str, Any]


def tcp(aims: Aims) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as knock:
        knock.settimeout(5)
        knock.connect(("127.0.0.1", aims["tcp"]))


def udp(aims: Aims) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as knock:
        knock.sendto(b"x", ("127.0.0.1", aims["udp"]))


def listen(aims: Aims) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as open_port:
        open_port.bind(("127.0.0.1", 0))
        open_port.listen()


def unix_path(aims: Aims) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.connect(aims["unix"])


def unix_abstract(aims: Aims) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.connect("\0" + aims["abstract"])


def netlink(aims: Aims) -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()


def open_file(aims: Aims) -> None:
    os.close(os.open(aims["readable"], os.O_RDONLY))


def open_itself(aims: Aims) -> None:
    os.close(os.open("/proc/self/maps", os.O_RDONLY))


def list_folder(aims: Aims) -> None:
    list(Path(aims["folder"]).iterdir())


def write_file(aims: Aims) -> None:
    os.close(os.open(f"{aims['folder']}/written-{os.getpid()}", os.O_CREAT | os.O_WRONLY, 0o600))


def stat_file(aims: Aims) -> None:
    Path(aims["readable"]).stat()


def change_folder(aims: Aims) -> None:
    os.chdir(aims["folder"])


def execute(aims: Aims) -> None:
    os.execv("/bin/true", ["true"])


def fork(aims: Aims) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def clone_without_a_thread(aims: Aims) -> None:
    """As fork does it, past the C library."""
    number = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    pid = _LIBC.syscall(number, signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    _demand(pid)
    os.waitpid(pid, 0)


def trace(aims: Aims) -> None:
    number = {"x86_64": 101, "aarch64": 117}[os.uname().machine]
    _demand(_LIBC.syscall(number, _PTRACE_SEIZE, aims["victim"], 0, 0))


def memory_of_another(aims: Aims) -> None:
    os.close(os.open(f"/proc/{aims['victim']}/mem", os.O_RDONLY))


def environment_of_another(aims: Aims) -> None:
    os.close(os.open(f"/proc/{aims['victim']}/environ", os.O_RDONLY))


def kill_another(aims: Aims) -> None:
    os.kill(aims["victim"], signal.SIGCONT)


def descriptor_of_another(aims: Aims) -> None:
    os.close(os.pidfd_open(aims["victim"]))


def outlive_the_fork_server(aims: Aims) -> None:
    _demand(_LIBC.prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0))


def become_another_user(aims: Aims) -> None:
    os.setresuid(os.getuid(), os.getuid(), os.getuid())


def new_user_namespace(aims: Aims) -> None:
    _demand(_LIBC.unshare(_CLONE_NEWUSER))


def change_a_limit(aims: Aims) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def uring(aims: Aims) -> None:
    parameters = ctypes.create_string_buffer(256)
    ring = _demand(_LIBC.syscall(_IO_URING_SETUP, 1, parameters))
    os.close(ring)


def file_in_memory(aims: Aims) -> None:
    os.close(os.memfd_create("x"))


def private_memory(aims: Aims) -> None:
    mmap.mmap(-1, 8 * GIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE).close()


def shared_memory(aims: Aims) -> None:
    mmap.mmap(-1, 8 * GIB, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | _MAP_NORESERVE).close()


def executable_memory(aims: Aims) -> None:
    flags = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=flags).close()


def make_memory_executable(aims: Aims) -> None:
    with mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as page:
        here = ctypes.c_char.from_buffer(page)
        _LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        failed = _LIBC.mprotect(ctypes.addressof(here), 4096, mmap.PROT_READ | mmap.PROT_EXEC)
        del here
    _demand(failed)


ATTEMPTS: dict[str, Callable[[Aims], object]] = {
    made.__name__: made
    for made in (
        *(tcp, udp, listen, unix_path, unix_abstract, netlink),
        *(open_file, open_itself, list_folder, write_file, stat_file, change_folder),
        *(execute, fork, clone_without_a_thread),
        *(trace, memory_of_another, environment_of_another, kill_another, descriptor_of_another),
        *(outlive_the_fork_server, become_another_user, new_user_namespace, change_a_limit, uring),
        *(file_in_memory, private_memory, shared_memory, executable_memory, make_memory_executable),
    )
}


def how_much_memory(aims: Aims) -> int:
    """MiB that can be had, in pieces."""
    held = []
    try:
        while len(held) < 200:
            held.append(bytes(64 << 20))
    except MemoryError:
        pass
    return len(held) * 64


def threads(aims: Aims) -> int:
    """Threads are allowed."""
    done = []
    thread = threading.Thread(target=lambda: done.append(1))
    thread.start()
    thread.join()
    return len(done)


def environment(aims: Aims) -> list[str]:
    return sorted(os.environ)


def open_descriptors(aims: Aims) -> list[int]:
    """Found by reading from every number: what cannot be asked by name can still be tried."""
    found = []
    for number in range(_PROBED_DESCRIPTORS):
        try:
            os.pread(number, 1, 0)
        except OSError as error:
            if error.errno == errno.EBADF:
                continue
        found.append(number)
    return found


def read_the_video(aims: Aims) -> str:
    return os.pread(aims["video"], 16, 0).hex()


def write_to_the_video(aims: Aims) -> None:
    os.write(aims["video"], b"x")


FACTS: dict[str, Callable[[Aims], object]] = {
    made.__name__: made
    for made in (how_much_memory, threads, environment, open_descriptors, read_the_video, write_to_the_video)
}


def attempt(connection: socket.socket, video: int | None) -> None:
    """Hear what to try, try it, and tell: {"came": ...} or {"error": name}."""
    order = json.loads(connection.recv(1 << 16))
    aims = order["aims"] | {"video": video}
    connection.sendall(json.dumps(outcome(order["name"], aims)).encode())
    # the one who asked looks at this process from outside before it ends
    connection.recv(1)


def outcome(name: str, aims: Aims) -> dict[str, object]:
    try:
        return {"came": (ATTEMPTS | FACTS)[name](aims)}
    except OSError as error:
        return {"error": errno.errorcode.get(error.errno or 0, str(error))}
    except Exception as error:
        return {"error": type(error).__name__}


def spin(connection: socket.socket, video: int | None) -> None:
    """Never answer, and use the processor."""
    while True:
        pass


def _demand(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
