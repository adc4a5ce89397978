"""What a worker says about its start, before it has a socket: in a file without a name, lent by its supervisor.

    at <what it begins with>      doubt <what may be a mistake>      reason <why it cannot start>

One line each. A worker that ends without a reason (``os._exit`` in a user's module) has at least said
where it was.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import NamedTuple

_MOST_TEXT = 2000


class Said(NamedTuple):
    """All of it, understood."""

    at: str = ""
    doubts: tuple[str, ...] = ()
    reason: str = ""


class StartupWords:
    """The worker's side."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def at(self, what: str) -> None:
        """What is begun with now."""
        self._say("at", what)

    def doubt(self, what: str) -> None:
        """Something that works and is probably not meant."""
        self._say("doubt", what)

    def reason(self, why: str) -> None:
        """Why it cannot start; the last word."""
        self._say("reason", why)

    def _say(self, kind: str, text: str) -> None:
        line = f"{kind} {' '.join(text[:_MOST_TEXT].split())}\n".encode("utf-8", "backslashreplace")
        # A user's module may have closed it, with all other descriptors.
        with suppress(OSError):
            os.write(self._fd, line)


def understood(data: bytes) -> Said:
    """What a worker's words say."""
    by_kind: dict[str, list[str]] = {"at": [""], "doubt": [], "reason": [""]}
    for line in data.decode("utf-8", "backslashreplace").splitlines():
        kind, _, text = line.partition(" ")
        by_kind.get(kind, []).append(text)
    return Said(by_kind["at"][-1], tuple(by_kind["doubt"]), by_kind["reason"][-1])
