"""How much memory a process has, cheaply: asked some twenty times a second."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(pid: int) -> int | None:
    """Resident bytes of a process; None where that cannot be told (it is gone, say)."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except FileNotFoundError:
        return None if Path("/proc/self/statm").exists() else _asked_otherwise(pid)
    except (OSError, ValueError, IndexError):
        return None


def own_peak_bytes() -> int:
    """The most this process has had in memory so far, as a child that it starts inherits it.

    Not what the system counts as its peak where that can be told apart: that began with what started it, in turn.
    """
    own = peak_bytes(os.getpid())
    if own is not None:
        return own
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_bytes(pid: int) -> int | None:
    """The most a living process has had in memory so far; None where that cannot be told."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None  # it is over: nothing of its memory is left


def _asked_otherwise(pid: int) -> int | None:
    """Where there is no /proc."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None
