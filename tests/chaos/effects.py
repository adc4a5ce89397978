"""What steps did, written down outside of the database: one line each, appended and synced.

    started(step) ─▶ {"event": "start", plan, step, attempt, pid, at_ns} … ended ─▶ {"event": "end", "how": done | suspended | failed}

While a step runs its process holds a lock of the kernel's on a byte that is the step's; whoever finds it held
writes "overlap". The kernel gives it up with the process, so no clock has to say when a killed one ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

VARIABLE = "CHAOS_EFFECTS"
"""Names the directory of the log; workers inherit it from whoever starts their supervisor."""


class Effect(NamedTuple):
    """One line. ``how`` is how a call ended, or for ``entry`` an account and an amount."""

    plan: str
    step: int
    attempt: int
    pid: int
    event: str
    at_ns: int
    how: str = ""


def directory() -> Path:
    """Where this process writes."""
    return Path(os.environ[VARIABLE])


def append(path: Path, line: str) -> None:
    """One line, whole and synced before this returns."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, f"{line}\n".encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def write(plan: str, step: int, attempt: int, event: str, how: str = "") -> None:
    """Note one effect of a step of this process."""
    at_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    effect = Effect(plan, step, attempt, os.getpid(), event, at_ns, how)
    append(directory() / "effects", json.dumps(effect))


def read(where: Path) -> list[Effect]:
    """Every effect so far, in the order in which they were written."""
    try:
        lines: Iterable[str] = (where / "effects").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [Effect(*json.loads(line)) for line in lines]


@contextmanager
def alone(plan: str, step: int) -> Iterator[bool]:
    """Whether no other process is inside for the same step now."""
    place = int.from_bytes(blake2b(f"{plan}/{step}".encode(), digest_size=7).digest())
    fd = os.open(directory() / "inside", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)
