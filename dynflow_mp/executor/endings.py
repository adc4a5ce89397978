"""Why a worker process ended, in one word for the record and one sentence for people."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import NamedTuple

LEASE_LOST = "lease_lost"
OUT_OF_MEMORY = "out_of_memory"
PROTOCOL_ERROR = "protocol_error"
REPLACED = "replaced"
LEFT_TO_BE_REPLACED = 5
"""Exit status of a worker that found itself no longer fit for work; its page says why."""
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE}


class Ending(NamedTuple):
    """``cause`` such as ``signal(9)``, ``exit(3)`` or ``out_of_memory``; ``text`` what happened, as a verb phrase."""

    cause: str
    text: str


def ending_of(
    exit_code: int | None,
    *,
    asked: bool = False,
    out_of_memory: bool = False,
    lease_lost: bool = False,
    reason: str = "",
) -> Ending:
    """What an exit code means (negative: a signal). ``asked``: its supervisor wanted it to end.

    ``reason`` is what the worker itself said, if it left by itself.
    """
    if exit_code is None:
        return Ending("unknown", "could not be ended")
    if reason:
        return Ending(REPLACED, f"left to be replaced: {reason}")
    if exit_code >= 0:
        how = " as it was asked to" if asked else "; code it ran may have called sys.exit or os._exit"
        return Ending(f"exit({exit_code})", f"left with exit status {exit_code}{how}")
    number = -exit_code
    if number == signal.SIGKILL and out_of_memory and not asked:
        return Ending(OUT_OF_MEMORY, "was killed because its control group ran out of memory")
    if number == signal.SIGKILL and lease_lost and not asked:
        return Ending(
            LEASE_LOST,
            "was killed because its executor stood still, or could not reach the database, for almost as long as "
            "its lease lasts: others may have taken its plans over",
        )
    name = _signal_name(number)
    if number in _CRASHES:
        return Ending(f"signal({number})", f"crashed in native code, signal {number} ({name})")
    by = " by its executor" if asked else ""
    return Ending(f"signal({number})", f"was killed{by} with signal {number} ({name})")


def crashed(exit_code: int) -> bool:
    """Whether native code ended the process."""
    return -exit_code in _CRASHES


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "real-time or unknown"


class OomKills:
    """How often the kernel killed for memory in our control group; best effort, Linux only."""

    def __init__(self, proc: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> None:
        self._files = _counter_files(proc, root)
        self._seen = self._count()

    def happened(self) -> bool:
        """Whether it happened since this was last asked."""
        count = self._count()
        grown, self._seen = count > self._seen, count
        return grown

    def _count(self) -> int:
        return sum(map(_oom_kills_in, self._files))


def _counter_files(proc: Path, root: Path) -> list[Path]:
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return []
    files: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            files.append(root / path.lstrip("/") / "memory.events")
        elif "memory" in controllers.split(","):
            files.append(root / "memory" / path.lstrip("/") / "memory.oom_control")
    return [file for file in files if file.is_file()]


def _oom_kills_in(file: Path) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
