"""Workers that a signal made stand still (SIGSTOP, SIGTSTP) and that nobody lets go on: what waits for one would wait for ever.

Silence says nothing about a worker: a step may hold the interpreter for as long as it likes. That it is stopped the system says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

STOOD_S = 30.0
"""For somebody who looks at a process with a debugger, or has stopped it by mistake, to let it go on."""
_LOOK_S = 5.0
_STATE_FIELD = 0
"""Of /proc/<pid>/stat, counted from behind the name."""


def stands_still(pid: int) -> bool:
    """Whether a signal has stopped this process; one that is being traced is not, and one that is gone neither."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        return text.rpartition(")")[2].split()[_STATE_FIELD] == "T"
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists() and _asked_otherwise(pid)
    except (OSError, IndexError):
        return False


def _asked_otherwise(pid: int) -> bool:
    """Where there is no /proc."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


class Standstills:
    """Owned by the core's thread; ``now`` in seconds of a steady clock."""

    def __init__(self, stands: Callable[[int], bool] = stands_still) -> None:
        self._stands = stands
        self._since: dict[str, float] = {}
        self._looked_at = 0.0

    def over(self, now: float, pids: Mapping[str, int]) -> list[str]:
        """Workers, of these, that have stood still for too long. They are named again until they are gone."""
        if now - self._looked_at < _LOOK_S:
            return []
        # A core that did not turn for long saw nothing of what was between.
        before = self._since if now - self._looked_at < STOOD_S else {}
        self._looked_at = now
        self._since = {
            worker_id: before.get(worker_id, now) for worker_id, pid in pids.items() if self._stands(pid)
        }
        return [worker_id for worker_id, since in self._since.items() if now - since >= STOOD_S]
