"""A system on which seccomp filters cannot be set, as a fork server of the tests sees it."""

from __future__ import annotations

import errno

from sandbox_attacks import attempt

from stillframe.sandbox import seccomp


def _refused() -> None:
    raise OSError(errno.EINVAL, "no filters here")


#: this module is only ever loaded by a fork server of the tests
seccomp.restrict = _refused

__all__ = ["attempt"]
