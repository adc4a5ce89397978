"""Whether the process behind a world record is still there, as far as this host can tell.

A process leaves its traces in its world's record: host, boot, pid namespace, pid, and when it began. A
lock file per world would tell the same, no sooner, and would need a directory that all users of the host
share.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from dynflow_mp.coordinator.records import WorldRecord

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")
_USER_FIELD, _SYSTEM_FIELD, _STARTED_FIELD = 11, 12, 19
"""Where /proc/<pid>/stat says how long the process has run, and when it began, counted from behind its name."""
_MOST_PIDS = 2**31
"""The system is not asked about more: it has no number for them."""


class Seen(NamedTuple):
    """A process that has this pid now."""

    began: float
    ended: bool
    """Whether only its exit status is left of it."""
    stopped: bool = False
    """Whether a signal (SIGSTOP, SIGTSTP) made it stand still; known on Linux only."""
    ran_ticks: int = 0
    """How long it has run since it began; known on Linux only."""


def own_traces() -> dict[str, Any]:
    """What lets another process on this host tell whether this one still lives."""
    seen = look_at(os.getpid())
    return {
        "hostname": socket.gethostname(),
        "boot_id": _boot_id(),
        "pid_namespace": _pid_namespace(),
        "pid": os.getpid(),
        "began": None if seen is None else seen.began,
    }


def gone(world: WorldRecord) -> bool:
    """Whether this host knows that the world's process has ended."""
    traces = world.meta.get("process")
    return isinstance(traces, Mapping) and proved_dead(traces)


def proved_dead(traces: Mapping[str, Any]) -> bool:
    """True when the process ran on this host, in this boot, and is gone (its pid free or another's).

    False says nothing: the process lives, or lived elsewhere.
    """
    here = (socket.gethostname(), _boot_id(), _pid_namespace())
    if (traces.get("hostname"), traces.get("boot_id"), traces.get("pid_namespace")) != here:
        return False
    pid, began = traces.get("pid"), traces.get("began")
    if not isinstance(pid, int) or not 0 < pid < _MOST_PIDS or not isinstance(began, (int, float)):
        return False
    return _is_free(pid) or _is_anothers(pid, began)


def _is_free(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # Someone else's process: there, though not ours to signal.
        return False
    return False


def _is_anothers(pid: int, began: float) -> bool:
    seen = look_at(pid)
    return seen is not None and (seen.ended or abs(seen.began - began) > 1.0)


def look_at(pid: int) -> Seen | None:
    """None where it cannot be seen: that is no proof of anything."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return Seen(
            # Ticks since boot. As a time of day it would shift whenever the clock is set.
            began=float(fields[_STARTED_FIELD]),
            ended=fields[0] in "ZX",
            stopped=fields[0] == "T",
            ran_ticks=int(fields[_USER_FIELD]) + int(fields[_SYSTEM_FIELD]),
        )
    except OSError:
        return _ask_psutil(pid)


def _ask_psutil(pid: int) -> Seen | None:
    if _PID_NAMESPACE.exists():
        return None  # Linux: what /proc does not show, psutil cannot see
    try:
        process = psutil.Process(pid)
        return Seen(process.create_time(), process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return None


def _pid_namespace() -> str | None:
    """Containers may share a host's name and boot, and each count pids from 1."""
    try:
        return os.readlink(_PID_NAMESPACE)
    except OSError:
        return None


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        # macOS has none; the boot time serves as well.
        return f"boot-{int(psutil.boot_time())}"
