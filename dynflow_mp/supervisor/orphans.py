"""Process 1 of a container inherits every process whose parent died, and must reap it: nobody else can."""

from __future__ import annotations

import os

from dynflow_mp.executor import own_children
from dynflow_mp.telemetry import logger

log = logger("supervisor.orphans")

_MOST_AT_ONCE = 1000


def reap_orphans() -> int:
    """Take away processes that ended and that we did not start; how many there were. Does not wait."""
    for number in range(_MOST_AT_ONCE):
        # While nobody starts a process: one that ended already would not be known for ours yet.
        with own_children.starting:
            pid = _ended_child()
            # One of ours is reaped in a moment by its owner, and then what is behind it shows.
            if pid is None or own_children.is_ours(pid):
                return number
            _reap(pid)
    return _MOST_AT_ONCE


def _ended_child() -> int | None:
    """A child that ended and was not reaped, which it is not by asking."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if found is None else found.si_pid


def _reap(pid: int) -> None:
    try:
        _, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return  # somebody else's wait was quicker
    log.debug(
        "orphan %d reaped",
        pid,
        extra={"action": "orphan_reaped", "pid": pid, "exit_code": os.waitstatus_to_exitcode(status)},
    )
