"""Locking a process in: what is done, in which order, and what of it this system offers.

`lock_down` is called once by each child, after the fork and before it reads anything. seccomp and the limits
must hold, or nothing is decoded; Landlock, the network namespace and the unprivileged user are put on where
the system allows it, each a barrier of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from stillframe.errors import SandboxUnavailable
from stillframe.sandbox import landlock, seccomp
from stillframe.sandbox.bootstrap import command
from stillframe.sandbox.libc import call, last_error

#: nobody else's number: nobody (65534) is shared, among others with an embedded PostgreSQL
USER = 65_533
MEMORY_BYTES = 1 << 30
#: of addresses: maps of files are counted here, and untouched ones
ADDRESS_BYTES = 3 << 30
_FILES = 64
_CPU_GRACE_S = 5
#: a child comes after its fork server and after the server itself
_NICE = 5
_CHECK_TIMEOUT_S = 30

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
_CAPABILITY_VERSION_3 = 0x20080522
_CLOSE_RANGE = 436


@dataclass(frozen=True, slots=True)
class Layers:
    """Which barriers hold. `landlock` is the version of its interface, None without."""

    seccomp: bool = False
    rlimits: bool = False
    landlock: int | None = None
    network_namespace: bool = False
    unprivileged: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """What must be there and is not, in words."""
        found = []
        if not self.seccomp:
            found.append(f"seccomp filters cannot be set ({platform.system()}, {platform.machine()})")
        if not self.rlimits:
            found.append("the limits of memory, time and files cannot be set")
        return tuple(found)


def require(layers: Layers) -> None:
    """Raise SandboxUnavailable when what must hold does not."""
    if layers.missing:
        raise SandboxUnavailable(layers.missing)


def available_layers() -> Layers:
    """The layers that hold here, found by locking in a process of its own (about 50 ms). For `doctor` and `serve`."""
    if sys.platform != "linux":
        return Layers()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        process = subprocess.Popen(
            command("stillframe.sandbox.layers:_tell", str(theirs.fileno())),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={},
            cwd="/",
        )
        theirs.close()
        ours.settimeout(_CHECK_TIMEOUT_S)
        try:
            told = b"".join(iter(lambda: ours.recv(4096), b""))
            return Layers(**json.loads(told))
        except (OSError, ValueError):
            return Layers()
        finally:
            process.kill()
            process.wait()


def lock_down(keep: Collection[int], parent: int, cpu_s: int) -> Layers:
    """Lock this process in for good: it keeps these descriptors, and dies with its parent.

    To be called after a fork, with one thread. Raises SandboxUnavailable when seccomp or the limits do not hold;
    the caller then must end.
    """
    # the session is the fork server's, which has no terminal; one for each child would give each the processor
    # share of a whole server, where the kernel shares it out by sessions (autogroup)
    os.setpgid(0, 0)
    os.nice(_NICE)
    _close_all_but(keep)
    _offer_to_the_memory_killer()
    own_network = _leave_networks()
    _become_unprivileged()
    own_network = own_network or _leave_networks(as_user=True)
    _drop_capabilities()
    limited = _limit(cpu_s)
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    # becoming another user has cleared it
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    abi = None
    with contextlib.suppress(OSError):
        abi = landlock.restrict()
    unprivileged = os.getuid() != 0
    filtered = False
    with contextlib.suppress(OSError):
        seccomp.restrict()
        filtered = True
    layers = Layers(filtered, limited, abi, own_network, unprivileged)
    require(layers)
    return layers


def _close_all_but(keep: Collection[int]) -> None:
    first = 0
    for descriptor in [*sorted(keep), 1 << 30]:
        last = descriptor - 1
        if first <= last and call("syscall", _CLOSE_RANGE, first, last, 0) != 0:
            # a kernel before 5.9
            for entry in list(Path("/proc/self/fd").iterdir()):
                if first <= int(entry.name) <= last:
                    with contextlib.suppress(OSError):
                        os.close(int(entry.name))
        first = descriptor + 1


def _offer_to_the_memory_killer() -> None:
    """When the machine runs out of memory, a child goes before the server does."""
    with contextlib.suppress(OSError):
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(descriptor, b"800")
        os.close(descriptor)


def _leave_networks(*, as_user: bool = False) -> bool:
    """Go into an empty network and IPC namespace. An ordinary user needs a user namespace for that."""
    flags = _CLONE_NEWNET | _CLONE_NEWIPC | (_CLONE_NEWUSER if as_user else 0)
    return call("unshare", flags) == 0


def _become_unprivileged() -> None:
    if os.geteuid() != 0:
        return
    # where root stands for an ordinary user (a container without other numbers), there is nothing to change to
    with contextlib.suppress(OSError):
        os.setgroups([])
    with contextlib.suppress(OSError):
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)


def _drop_capabilities() -> None:
    """Those of a new user namespace included."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    call("capset", header, none)


def _limit(cpu_s: int) -> bool:
    limits = {
        resource.RLIMIT_DATA: MEMORY_BYTES,
        resource.RLIMIT_AS: ADDRESS_BYTES,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: _FILES,
        resource.RLIMIT_MEMLOCK: 0,
    }
    if sys.platform == "linux":
        limits |= {resource.RLIMIT_MSGQUEUE: 0, resource.RLIMIT_SIGPENDING: _FILES, resource.RLIMIT_RTPRIO: 0}
    try:
        for limit, most in limits.items():
            hard = resource.getrlimit(limit)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            # at the soft limit of time the signal still says why, at the hard one it does not
            later = most + _CPU_GRACE_S if limit == resource.RLIMIT_CPU else most
            resource.setrlimit(limit, (most, later if hard == resource.RLIM_INFINITY else min(later, hard)))
    except (OSError, ValueError):
        return False
    return True


def _prctl(option: int, value: int) -> None:
    if call("prctl", option, value, 0, 0, 0) != 0:
        raise last_error()


def _tell(descriptor: str) -> None:
    """Lock this process in and say over a socket which layers hold: the other side of `available_layers`."""
    with socket.socket(fileno=int(descriptor)) as told:
        try:
            layers = lock_down([told.fileno()], os.getppid(), _CHECK_TIMEOUT_S)
        except SandboxUnavailable:
            layers = Layers()
        told.sendall(json.dumps(asdict(layers)).encode())
    os._exit(0)
