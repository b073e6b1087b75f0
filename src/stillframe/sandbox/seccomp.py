"""Which system calls the decoding child may make: a seccomp filter, written as classic BPF.

What is not on the list answers EPERM, so that an unknown harmless call of a newer C library only degrades.
There is no socket, connect, open, stat, exec, fork, kill, ioctl or ptrace on it. A few calls are allowed with
certain arguments only: threads but no processes, private memory that is never executable, limits that are read.

Sources: Linux, seccomp(2), Documentation/userspace-api/seccomp_filter.rst; the calls' numbers are those of
arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass

from stillframe.sandbox.libc import call, last_error

ALLOW = 0x7FFF0000
KILL = 0x80000000
REFUSE = 0x00050000 | errno.EPERM
#: glibc makes threads with clone3 when it is there; told that it is not, it takes clone, whose flags can be seen
ABSENT = 0x00050000 | errno.ENOSYS


@dataclass(frozen=True, slots=True)
class Machine:
    """An architecture: its AUDIT_ARCH number, its calls' numbers, and where numbers of another ABI begin."""

    audit: int
    calls: dict[str, int]
    foreign_from: int | None = None


# fmt: off
_X86_64 = Machine(0xC000003E, {
    "futex": 202, "recvfrom": 45, "sendto": 44, "pread64": 17, "mmap": 9, "munmap": 11, "madvise": 28, "brk": 12,
    "mremap": 25, "mprotect": 10, "mincore": 27, "close": 3, "shutdown": 48, "poll": 7, "ppoll": 271, "select": 23,
    "pselect6": 270, "clone": 56, "clone3": 435, "set_robust_list": 273, "rseq": 334, "set_tid_address": 218,
    "exit": 60, "exit_group": 231, "tgkill": 234, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
    "sigaltstack": 131, "restart_syscall": 219, "sched_yield": 24, "sched_getaffinity": 204, "getcpu": 309,
    "membarrier": 324, "nanosleep": 35, "clock_nanosleep": 230, "clock_gettime": 228, "clock_getres": 229,
    "gettimeofday": 96, "time": 201, "times": 100, "getrusage": 98, "getrlimit": 97, "prlimit64": 302, "sysinfo": 99,
    "uname": 63, "getpid": 39, "gettid": 186, "getppid": 110, "getuid": 102, "geteuid": 107, "getgid": 104,
    "getegid": 108, "getrandom": 318, "prctl": 157,
}, foreign_from=0x40000000)
_AARCH64 = Machine(0xC00000B7, {
    "futex": 98, "recvfrom": 207, "sendto": 206, "pread64": 67, "mmap": 222, "munmap": 215, "madvise": 233,
    "brk": 214, "mremap": 216, "mprotect": 226, "mincore": 232, "close": 57, "shutdown": 210, "ppoll": 73,
    "pselect6": 72, "clone": 220, "clone3": 435, "set_robust_list": 99, "rseq": 293, "set_tid_address": 96,
    "exit": 93, "exit_group": 94, "tgkill": 131, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139,
    "sigaltstack": 132, "restart_syscall": 128, "sched_yield": 124, "sched_getaffinity": 123, "getcpu": 168,
    "membarrier": 283, "nanosleep": 101, "clock_nanosleep": 115, "clock_gettime": 113, "clock_getres": 114,
    "gettimeofday": 169, "times": 153, "getrusage": 165, "getrlimit": 163, "prlimit64": 261, "sysinfo": 179,
    "uname": 160, "getpid": 172, "gettid": 178, "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176,
    "getegid": 177, "getrandom": 278, "prctl": 167,
})
# fmt: on
#: by the name that uname gives
MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}
#: the number of the call seccomp itself
_SECCOMP = {"x86_64": 317, "aarch64": 277}

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_CALL, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_CLONE_THREAD = 0x10000
_PROT_EXEC, _MAP_SHARED = 4, 1
_PR_SET_NAME = 15

Instruction = tuple[int, int, int, int]
_INSTRUCTION = struct.Struct("=HBBI")


def is_available() -> bool:
    """Whether this kernel and architecture can filter calls and answer them with an error."""
    machine = platform.machine()
    if machine not in MACHINES or struct.calcsize("P") != 8:
        return False
    action = ctypes.c_uint32(0x00050000)
    # SECCOMP_GET_ACTION_AVAIL
    return call("syscall", _SECCOMP[machine], 2, 0, ctypes.byref(action)) == 0


def restrict() -> None:
    """Put the filter on this process, for good. It must have one thread, and no_new_privs. Raises OSError."""
    machine = platform.machine()
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"no list of system calls for {machine}")
    code = _PREPARED[machine].replace(struct.pack("=I", _ANY_PID), struct.pack("=I", os.getpid()))
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: how many instructions, and where they are
    fprog = struct.pack("HxxxxxxP", len(code) // _INSTRUCTION.size, ctypes.addressof(buffer))
    # SECCOMP_SET_MODE_FILTER
    if call("syscall", _SECCOMP[machine], 1, 0, fprog) != 0:
        raise last_error()


def program(machine: Machine, own_pid: int) -> list[Instruction]:
    """The filter as (code, jump if true, jump if false, operand)."""
    rules = _rules(own_pid)
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _CALL),
    ]
    if machine.foreign_from is not None:
        code += [(_AT_LEAST, 0, 1, machine.foreign_from), (_RETURN, 0, 0, KILL)]
    for name, number in machine.calls.items():
        rule = rules.get(name, [(_RETURN, 0, 0, ALLOW)])
        code += [(_EQUAL, 0, len(rule), number), *rule]
    return [*code, (_RETURN, 0, 0, REFUSE)]


def assembled(instructions: list[Instruction]) -> bytes:
    """The filter as the kernel reads it."""
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in instructions)


def _rules(own_pid: int) -> dict[str, list[Instruction]]:
    """The calls that are allowed with some arguments only; each ends by returning."""
    return {
        "clone3": [(_RETURN, 0, 0, ABSENT)],
        "clone": _if(_argument(0), (_ANY_BIT, 0, 0, _CLONE_THREAD)),
        # shared memory is not counted by RLIMIT_DATA
        "mmap": [
            *_refuse_if(_argument(2), (_ANY_BIT, 0, 0, _PROT_EXEC)),
            *_refuse_if(_argument(3), (_ANY_BIT, 0, 0, _MAP_SHARED)),
            (_RETURN, 0, 0, ALLOW),
        ],
        "mprotect": [
            *_refuse_if(_argument(2), (_ANY_BIT, 0, 0, _PROT_EXEC)),
            (_RETURN, 0, 0, ALLOW),
        ],
        # not PR_SET_PDEATHSIG: a child must not outlive its fork server
        "prctl": _if(_argument(0), (_EQUAL, 0, 0, _PR_SET_NAME)),
        "prlimit64": [
            *_refuse_if_not(_argument(2), (_EQUAL, 0, 0, 0)),
            *_refuse_if_not(_argument(2, high=True), (_EQUAL, 0, 0, 0)),
            (_RETURN, 0, 0, ALLOW),
        ],
        "tgkill": _if(_argument(0), (_EQUAL, 0, 0, own_pid)),
    }


def _argument(position: int, *, high: bool = False) -> Instruction:
    """Load half of an argument; both architectures are little-endian."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * position + 4 * high)


def _if(load: Instruction, test: Instruction) -> list[Instruction]:
    return [*_refuse_if_not(load, test), (_RETURN, 0, 0, ALLOW)]


def _refuse_if(load: Instruction, test: Instruction) -> list[Instruction]:
    code, _, _, operand = test
    return [load, (code, 0, 1, operand), (_RETURN, 0, 0, REFUSE)]


def _refuse_if_not(load: Instruction, test: Instruction) -> list[Instruction]:
    code, _, _, operand = test
    return [load, (code, 1, 0, operand), (_RETURN, 0, 0, REFUSE)]


#: stands for a child's own number, which is above all that Linux gives
_ANY_PID = 0x7FFF_FFFF
#: made before any child is forked: it takes a millisecond
_PREPARED = {name: assembled(program(machine, _ANY_PID)) for name, machine in MACHINES.items()}
