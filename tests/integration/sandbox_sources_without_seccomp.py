"""The same child without its seccomp filter, which would refuse to write to anything but the socket."""

from __future__ import annotations

from sandbox_sources import tell_whether_it_could_write

from stillframe.sandbox import seccomp

#: this module is only ever loaded by a fork server of the tests
seccomp.restrict = lambda: None

__all__ = ["tell_whether_it_could_write"]
