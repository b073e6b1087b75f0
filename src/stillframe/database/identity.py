"""As whom PostgreSQL runs: it refuses to be root. Standard library only: the supervisor imports it.

An ordinary user runs it as itself. Root runs it in a user namespace in which root bears nobody's number: the
files stay root's, no parent folder must be opened to others, and outside its own files it has no privilege
left. Where the machine refuses namespaces, it runs as an existing unprivileged user.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

#: `nobody` on Linux, and the number that the kernel shows for every owner it cannot map
NOBODY = 65534
#: who runs PostgreSQL where namespaces are refused; never nobody, whom the decoding children become
_UNPRIVILEGED_NAMES = ("postgres", "daemon", "bin")

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a child becomes. `uid` and `gid` own its files, as they are seen from outside of a namespace."""

    uid: int
    gid: int
    #: the numbers that it sees itself as in a namespace; None without one
    inside: tuple[int, int] | None = None
    changes_user: bool = False

    def __str__(self) -> str:
        if self.inside is not None:
            return "the same user in a namespace"
        return pwd.getpwuid(self.uid).pw_name if self.changes_user else "the same user"

    def become(self) -> None:
        """Turn this process into it, for good. Only in a child that has a single thread and will exec."""
        if os.geteuid() == 0:
            os.setgroups([])
        if self.changes_user:
            os.setresgid(self.gid, self.gid, self.gid)
            os.setresuid(self.uid, self.uid, self.uid)
        elif self.inside is not None:
            _enter_namespace(*self.inside)
        _end_with_parent()


class IdentityRefused(Exception):
    """PostgreSQL can run as nobody here; the message says why."""


def choose_identity() -> Identity:
    """The first way that works on this machine. Raises IdentityRefused when there is none."""
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0 and _has_name(uid):
        return Identity(uid, gid)
    inside = _numbers_inside()
    if inside is not None and _is_possible(Identity(uid, gid, inside)):
        return Identity(uid, gid, inside)
    if uid != 0:
        raise IdentityRefused(
            f"the user id {uid} has no name on this machine, which PostgreSQL demands, and the machine refuses "
            "user namespaces: add a line for it to /etc/passwd, or set database_url to a server of your own"
        )
    for name in _UNPRIVILEGED_NAMES:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(user.pw_uid, user.pw_gid, changes_user=True)
    raise IdentityRefused(
        "PostgreSQL does not run as root, the machine refuses user namespaces, and there is no user "
        f"{', '.join(_UNPRIVILEGED_NAMES)}: start as an ordinary user, or set database_url to a server of your own"
    )


def _numbers_inside() -> tuple[int, int] | None:
    """A user and group that have a name and are not root: initdb asks for the name."""
    if sys.platform != "linux":
        return None
    if _has_name(NOBODY):
        user = pwd.getpwuid(NOBODY)
        return user.pw_uid, user.pw_gid
    others = [(user.pw_uid, user.pw_gid) for user in pwd.getpwall() if user.pw_uid != 0]
    return others[0] if others else None


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _is_possible(identity: Identity) -> bool:
    """Whether a child can become it: tried, because the rules differ with kernel, container and distribution."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            identity.become()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def _enter_namespace(inside_uid: int, inside_gid: int) -> None:
    """A new user namespace that knows one user, who is the present one outside. See user_namespaces(7)."""
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside_uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{inside_gid} {gid} 1")


def _end_with_parent() -> None:
    """Immediate shutdown when the parent is gone. Last of all: a change of user clears the death signal."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGQUIT))


def end_with_parent(sign: signal.Signals, parent_pid: int) -> None:
    """Be sent a signal when the parent is gone; end at once if it is gone already. Only in a child that will exec."""
    _prctl(_PR_SET_PDEATHSIG, int(sign))
    if os.getppid() != parent_pid:
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
