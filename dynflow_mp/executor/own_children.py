"""The processes that this one started and will reap itself.

As process 1 of a container it gets children, too, that it did not start, when their parents die before them. Who
reaps those must not take away the exit status of a worker.
"""

from __future__ import annotations

from threading import Lock

_lock = Lock()
_pids: set[int] = set()

starting = _lock
"""To be held from before a process is started until it is :func:`started`: it may have ended by then."""


def started(pid: int) -> None:
    """A process of our own; whoever calls has ``starting``."""
    _pids.add(pid)


def buried(pid: int) -> None:
    """It was reaped, or nobody will."""
    with _lock:
        _pids.discard(pid)


def is_ours(pid: int) -> bool:
    """Whether somebody here will reap it; whoever calls has ``starting``."""
    return pid in _pids
