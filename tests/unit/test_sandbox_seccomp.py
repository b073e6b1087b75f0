"""The seccomp filter, run by an interpreter of its own: what it answers to each call, on each architecture."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from stillframe.sandbox.seccomp import (
    ABSENT,
    ALLOW,
    KILL,
    MACHINES,
    REFUSE,
    Instruction,
    Machine,
    assembled,
    program,
)

OWN_PID = 4711
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
HIGH = 1 << 32
CLONE_THREAD, CLONE_VM = 0x10000, 0x100
#: numbers of calls that must never be there: x86_64, aarch64
NEVER = {
    "read": (0, 63),
    "write": (1, 64),
    "open": (2, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "newfstatat": (262, 79),
    "ioctl": (16, 29),
    "dup": (32, 23),
    "socket": (41, 198),
    "connect": (42, 203),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "bind": (49, 200),
    "socketpair": (53, 199),
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "shmget": (29, 194),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "memfd_create": (319, 279),
    "setuid": (105, 146),
    "unshare": (272, 97),
    "mount": (165, 40),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "pidfd_open": (434, 434),
    "seccomp": (317, 277),
}
#: the call, its arguments, and what is answered
WITH_ARGUMENTS = [
    ("clone", [CLONE_THREAD | CLONE_VM], ALLOW),
    ("clone", [CLONE_VM], REFUSE),
    ("clone", [17], REFUSE),
    ("clone", [CLONE_THREAD << 32], REFUSE),
    ("clone3", [0, 88], ABSENT),
    ("mmap", [0, 4096, 3, 0x22], ALLOW),
    ("mmap", [0, 4096, 3, 0x21], REFUSE),
    ("mmap", [0, 4096, 3, 0x03], REFUSE),
    ("mmap", [0, 4096, 7, 0x22], REFUSE),
    ("mmap", [0, 4096, 5, 0x02], REFUSE),
    ("mprotect", [0, 4096, 3], ALLOW),
    ("mprotect", [0, 4096, 5], REFUSE),
    ("prctl", [15], ALLOW),
    ("prctl", [1, 0], REFUSE),
    ("prctl", [38, 1], REFUSE),
    ("prlimit64", [0, 7, 0, 1], ALLOW),
    ("prlimit64", [0, 7, 1, 0], REFUSE),
    ("prlimit64", [0, 7, HIGH, 0], REFUSE),
    ("tgkill", [OWN_PID, OWN_PID, 6], ALLOW),
    ("tgkill", [1, 1, 9], REFUSE),
    ("futex", [0, 0], ALLOW),
    ("pread64", [5], ALLOW),
    ("recvfrom", [4], ALLOW),
]


def answer(machine: Machine, number: int, arguments: list[int], audit: int | None = None) -> int:
    """What the filter says to a call: struct seccomp_data is loaded from as the kernel does."""
    values = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<iIQ6Q", number, machine.audit if audit is None else audit, 0, *values)
    code: list[Instruction] = program(machine, OWN_PID)
    position, accumulator = 0, 0
    while True:
        operation, if_true, if_false, operand = code[position]
        position += 1
        if operation == LOAD:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif operation == RETURN:
            return operand
        else:
            holds = {
                EQUAL: accumulator == operand,
                AT_LEAST: accumulator >= operand,
                ANY_BIT: bool(accumulator & operand),
            }[operation]
            position += if_true if holds else if_false


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize(("call", "arguments", "expected"), WITH_ARGUMENTS)
def test_a_call_is_answered_by_its_arguments(
    name: str, call: str, arguments: list[int], expected: int
) -> None:
    machine = MACHINES[name]
    assert answer(machine, machine.calls[call], arguments) == expected


@pytest.mark.parametrize("name", MACHINES)
def test_all_other_calls_are_refused(name: str) -> None:
    machine = MACHINES[name]
    allowed = {number for number in range(600) if answer(machine, number, []) != REFUSE}
    by_arguments = {"clone", "tgkill", "prctl"}
    assert allowed == {number for call, number in machine.calls.items() if call not in by_arguments}


@pytest.mark.parametrize("call", NEVER)
@pytest.mark.parametrize(("column", "name"), list(enumerate(MACHINES)))
def test_what_leads_out_is_refused(call: str, column: int, name: str) -> None:
    number = NEVER[call][column]
    if number is not None:
        assert answer(MACHINES[name], number, []) == REFUSE
    assert call not in MACHINES[name].calls


@pytest.mark.parametrize("name", MACHINES)
def test_calls_of_another_architecture_end_the_process(name: str) -> None:
    machine = MACHINES[name]
    # 32-bit programs on the same processor
    for audit in (0x40000003, 0x40000028):
        assert answer(machine, machine.calls["futex"], [], audit) == KILL


def test_calls_of_the_x32_interface_end_the_process() -> None:
    machine = MACHINES["x86_64"]
    assert answer(machine, 0x40000000 | machine.calls["futex"], []) == KILL


@pytest.mark.parametrize("name", MACHINES)
def test_the_filter_fits_and_ends(name: str) -> None:
    code = program(MACHINES[name], OWN_PID)
    assert len(code) < 4096
    assert len(assembled(code)) == 8 * len(code)
    assert code[-1] == (RETURN, 0, 0, REFUSE)
    assert len(set(MACHINES[name].calls.values())) == len(MACHINES[name].calls)


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("name", MACHINES)
def test_the_numbers_are_those_of_the_kernel(name: str) -> None:
    header = HEADERS[name]
    if not header.is_file():
        pytest.skip(f"{header} is not there")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
    assert {call: int(found[call]) for call in MACHINES[name].calls} == MACHINES[name].calls
    column = list(MACHINES).index(name)
    for call, numbers in NEVER.items():
        if (number := numbers[column]) is not None and call in found:
            assert int(found[call]) == number, call
