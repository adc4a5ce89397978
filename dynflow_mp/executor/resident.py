"""How much memory a process has, cheaply: asked some twenty times a second while a limit is watched."""

from __future__ import annotations

import os
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


def _asked_otherwise(pid: int) -> int | None:
    """Where there is no /proc."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None
