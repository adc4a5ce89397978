"""What steps left running in their worker: threads, and children that nobody waited for."""

from __future__ import annotations

import os
import sys
import threading

THREAD_PATIENCE_S = 10.0
"""So long a thread that keeps the process from ending may outlive its step."""
CHILD_PATIENCE_S = 10.0
MOST_THREADS = 200


class Strays:
    """Threads and dead children that were not there when the first step began. Owned by the main thread.

    A daemon thread may stay, as may the idle threads of a ``ThreadPoolExecutor``: a module may well
    keep one for all its steps. Any other thread is one that its step forgot to wait for.
    """

    def __init__(self) -> None:
        self._first = set(threading.enumerate())
        self._since: dict[threading.Thread, float] = {}
        self._dead_child: tuple[int, float] | None = None

    def __bool__(self) -> bool:
        """Whether there is something to look at again soon."""
        return bool(self._since) or self._dead_child is not None

    def look(self, now: float) -> str | None:
        """Look around; returns why the worker must be replaced, if it must."""
        self._bury_dead_child(now)
        # Its length is known at once; listing the threads is for when there are others than before.
        if threading.active_count() == len(self._first) and not self._since:
            return None
        new = [thread for thread in threading.enumerate() if thread not in self._first]
        if len(new) > MOST_THREADS:
            return f"steps left {len(new)} threads behind"
        pooled = _pooled_threads()
        left = [thread for thread in new if not thread.daemon and thread not in pooled]
        self._since = {thread: self._since.get(thread, now) for thread in left}
        for thread, since in self._since.items():
            if now - since > THREAD_PATIENCE_S:
                return (
                    f"the thread {thread.name!r} still runs {now - since:.0f} s after the step that started it; "
                    "a step should join what it starts, or make it a daemon"
                )
        return None

    def _bury_dead_child(self, now: float) -> None:
        """Take a dead child away that nobody has asked for in a while; one that someone may still ask for stays."""
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            found = None
        if found is None:
            self._dead_child = None
        elif self._dead_child is None or self._dead_child[0] != found.si_pid:
            self._dead_child = found.si_pid, now
        elif now - self._dead_child[1] > CHILD_PATIENCE_S:
            os.waitid(os.P_PID, found.si_pid, os.WEXITED | os.WNOHANG)
            self._dead_child = None


def _pooled_threads() -> set[threading.Thread]:
    """The threads of every ``ThreadPoolExecutor``, which wait for more work."""
    pools = sys.modules.get("concurrent.futures.thread")
    return set(getattr(pools, "_threads_queues", ()))
