"""The descriptors a worker itself works with, and whether a step has closed or replaced them.

A step may close whatever it likes (``os.closerange``), or open files under numbers it closed twice.
Without its sockets a worker cannot answer; with strange files under their numbers it would write
into those. So it looks before it speaks.

The threads behind its sockets look at nothing: libzmq ends the process when it meets a descriptor that
was closed. So where the system can (Linux), they keep a table of descriptors of their own, which the
user's code cannot reach: :func:`separate`. What a step closes is then missed by the main thread only.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import sys

Identity = tuple[int, int, int] | None

_CLONE_FILES = 0x400
_CLOSE_RANGE_UNSHARE = 2
_NO_DESCRIPTOR = 2**32 - 1
_HIGH = 500
"""Above what people close by range."""


class OwnDescriptors:
    """What was opened between :meth:`__init__` and :meth:`note`, and what is named there.

    One object serves one thread: its ``poll`` must not be used by two.
    """

    def __init__(self) -> None:
        self._others = _engine_made()
        self._then: dict[int, Identity] = {}
        self._poll = select.poll()

    def note(self, *named: int) -> None:
        """These are ours, and so are the sockets and signals the message library has opened meanwhile."""
        found = {*named, *(_engine_made() - self._others)}
        for fd in found:
            self._then[fd] = identity(fd)
            self._poll.register(fd, 0)

    def twin(self) -> OwnDescriptors:
        """The same descriptors, for another thread to look after."""
        twin = OwnDescriptors.__new__(OwnDescriptors)
        twin._others, twin._then, twin._poll = self._others, self._then, select.poll()
        for fd in self._then:
            twin._poll.register(fd, 0)
        return twin

    def closed(self) -> bool:
        """Whether one of them is closed: one system call for all."""
        return any(what & select.POLLNVAL for _, what in self._poll.poll(0))

    def replaced(self) -> bool:
        """Whether another file stands under one of their numbers: a system call for each."""
        return any(identity(fd) != then for fd, then in self._then.items())


def identity(fd: int) -> Identity:
    """What tells one open file from another; None for a number that is not open."""
    try:
        facts = os.fstat(fd)
    except OSError:
        return None
    return facts.st_dev, facts.st_ino, facts.st_mode


def separate() -> bool:
    """From now on this thread, and those it starts, close and open for themselves only; whether that is so.

    To be called before the user's code starts threads, which must not be cut off from it. A container may
    forbid ``unshare``; ``close_range``, which is asked to close nothing, is allowed there.
    """
    if sys.platform != "linux":
        return False
    system = ctypes.CDLL(None)
    if system.unshare(_CLONE_FILES) == 0:
        return True
    nothing = ctypes.c_uint(_NO_DESCRIPTOR)
    try:
        return bool(system.close_range(nothing, nothing, _CLOSE_RANGE_UNSHARE) == 0)
    except AttributeError:
        return False  # a C library older than 2.34


def high(fd: int) -> int:
    """The same open file under a number that few would think of closing; ``fd`` itself is closed."""
    try:
        duplicate = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except OSError:
        return fd  # so many are not allowed here
    os.close(fd)
    return duplicate


def put_back(fd: int, original: int | None) -> None:
    """Have ``fd`` lead to where ``original`` does; None: to nowhere. Nothing happens if that is closed, too."""
    try:
        source = os.open(os.devnull, os.O_RDONLY) if original is None else os.dup(original)
    except OSError:
        return
    if source == fd:
        os.set_inheritable(fd, True)
        return
    os.dup2(source, fd)
    os.close(source)


def _engine_made() -> set[int]:
    """The numbers of all descriptors that are no files: sockets, pipes, event counters."""
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]
    except OSError:
        return set()
    return {fd for fd in numbers if not _is_file(fd)}


def _is_file(fd: int) -> bool:
    try:
        return os.readlink(f"/dev/fd/{fd}").startswith("/")
    except OSError:
        return True  # not open any more (the listing's own), or a system that does not say
