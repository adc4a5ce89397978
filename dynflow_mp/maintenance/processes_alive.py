"""Whether the process behind a world record is still there, as far as this host can tell."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def own_traces() -> dict[str, Any]:
    """What lets another process on this host tell whether this one still lives."""
    return {
        "hostname": socket.gethostname(),
        "boot_id": _boot_id(),
        "pid": os.getpid(),
        "pid_started": _started(os.getpid()),
    }


def proved_dead(traces: Mapping[str, Any]) -> bool:
    """True when the process ran on this host, in this boot, and is gone (its pid free or another's).

    False says nothing: the process lives, or lived elsewhere.
    """
    if traces.get("hostname") != socket.gethostname() or traces.get("boot_id") != _boot_id():
        return False
    pid, started = traces.get("pid"), traces.get("pid_started")
    if not isinstance(pid, int) or not isinstance(started, (int, float)):
        return False
    now_started = _started(pid)
    return now_started is None or abs(now_started - started) > 1.0


def _started(pid: int) -> float | None:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.create_time()
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        # Someone else's process: alive, and not ours to look into.
        return 0.0


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        # macOS has none; the boot time serves as well.
        return f"boot-{int(psutil.boot_time())}"
