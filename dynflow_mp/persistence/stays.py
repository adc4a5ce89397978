"""Who is inside one of the turnstile's doors, as others see it.

signature in the door's file ─▶ who came in last; it may have left long ago
the kernel                   ─▶ whether anyone is inside, and whether it is this process
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import NamedTuple

_LENGTH = 31


class Stay(NamedTuple):
    """One time that a process was inside: its pid, and which time it was."""

    pid: int
    number: int


def signature(pid: int, number: int) -> bytes:
    """A stay as it is written into the file: over the one before, and always as long."""
    return b"%-10d %-19d\n" % (pid, number)


def read_from(descriptor: int) -> Stay | None:
    """The last stay that an open file tells of."""
    try:
        pid, number = map(int, os.pread(descriptor, _LENGTH, 0).split())
    except (OSError, ValueError):
        return None
    return Stay(pid, number) if pid > 0 else None


def last_stay(door: str) -> Stay | None:
    """Who came in last; None where nobody ever did, or the file cannot be read."""
    try:
        descriptor = os.open(door, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return read_from(descriptor)
    finally:
        os.close(descriptor)


def is_taken(door: str) -> bool:
    """Whether anyone is inside now."""
    # A descriptor of its own: through the turnstile's we would share, and give back, our own lock.
    descriptor = os.open(door, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def is_inside(pid: int, door: str) -> bool:
    """Whether the kernel says that this process holds the door's lock; only Linux tells.

    Raises :class:`PermissionError` for a process that is not ours to look into.
    """
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return False
    return any(_is(door, link) and _locks(pid, link.name) for link in descriptors)


def _is(door: str, link: Path) -> bool:
    # By name first: to look at a file behind another descriptor may take for ever (a network that is away).
    try:
        return link.readlink().name == os.path.basename(door) and os.path.samefile(link, door)
    except FileNotFoundError:
        return False


def _locks(pid: int, descriptor: str) -> bool:
    try:
        lines = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text().splitlines()
    except FileNotFoundError:
        return False
    return any(line.startswith("lock:") and " FLOCK " in line for line in lines)
