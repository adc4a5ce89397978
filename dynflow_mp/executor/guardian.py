"""A small process beside the supervisor that outlives it just long enough to kill its workers.

    python -I -S guardian.py FD SOCKET   lines on FD:  add PGID | drop PGID | until SECONDS | bye

End of file means that the supervisor is dead; a deadline that passes, that its lease is about to run
out: it hangs, stands still, or cannot reach its database, and others may take its plans over. Either
way every process group still on the list is killed, with the workers' own children in it. Workers
do have the kernel's parent-death signal, but it is not inherited by what they start, and it does
not fire for a supervisor that stands still. Of one that is dead the workers' socket and its
directory are removed, too: nobody else will. One that lives gets no work to do before its lease is
renewed, and with it the deadline; so until then workers that are added may live.

Run as a file of its own, without site-packages: standard library only, nothing of this package.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

_LONGEST_WAIT_S = 1.0
"""poll() does not count the time a machine sleeps, the deadline does."""
_READ = 65536


class Guardian:
    """The list of process groups and the deadline, as the supervisor's lines have them."""

    def __init__(self) -> None:
        self.groups: set[int] = set()
        self.deadline = float("inf")
        self.dismissed = False
        self._rest = b""

    def hear(self, data: bytes) -> None:
        """Take what came through the pipe; lines may arrive in pieces."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._obey(line.split())

    def _obey(self, words: list[bytes]) -> None:
        if words == [b"bye"]:
            self.dismissed = True
        elif len(words) == 2 and words[0] == b"add":
            self.groups.add(int(words[1]))
        elif len(words) == 2 and words[0] == b"drop":
            self.groups.discard(int(words[1]))
        elif len(words) == 2 and words[0] == b"until":
            self.deadline = float(words[1])

    def look_at(self, now: float) -> None:
        """Kill if the deadline has passed; once, for the next one is for those who are left then."""
        if now >= self.deadline:
            self.deadline = float("inf")
            self.kill()

    def kill(self) -> None:
        """End every group on the list, hard."""
        for group in self.groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue  # gone already; or all that is left of it changed its user


def tidy_up(socket: str) -> None:
    """Remove the socket, and the directory that was made for it if nothing else is in it."""
    try:
        os.unlink(socket)
        os.rmdir(os.path.dirname(socket))
    except OSError:
        return  # gone already, or something else lives there


def steady() -> float:
    """Seconds that also pass while the machine sleeps, where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def watch(fd: int, socket: str) -> None:
    """Listen until dismissed, or until it is time to kill."""
    guardian = Guardian()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while not guardian.dismissed:
        guardian.look_at(steady())
        left_s = guardian.deadline - steady()
        if poll.poll(max(0.0, min(left_s, _LONGEST_WAIT_S)) * 1000):
            data = os.read(fd, _READ)
            if not data:
                guardian.kill()
                return tidy_up(socket)
            guardian.hear(data)
    return None


def main() -> None:
    """Ignore what ends a supervisor politely: the guardian's end is the supervisor's, or its word."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    watch(int(sys.argv[1]), sys.argv[2])


if __name__ == "__main__":
    main()
