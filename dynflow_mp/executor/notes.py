"""What other threads leave for the core: they add, its thread takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from dynflow_mp.bell import Bell
from dynflow_mp.executor.errands import ErrandAsked
from dynflow_mp.executor.reader import ReaderNews
from dynflow_mp.model.messages import Envelope


class ReadAhead(NamedTuple):
    """A request for a plan that the reader has been asked for already."""

    envelope: Envelope


class Offered(NamedTuple):
    """Plans that were never begun and that nobody has taken for some time."""

    plan_ids: tuple[str, ...]


class Deleted(NamedTuple):
    """Plans that run here and are not stored any more."""

    plan_ids: tuple[str, ...]


class Stranded(NamedTuple):
    """Plans that the store says run here, and that do not as far as others can see."""

    plan_ids: tuple[str, ...]


class Stop(NamedTuple):
    """Drain, then end; running steps have until ``deadline``, what is asked to end by then until ``kill_at`` (steady clock)."""

    deadline: float
    kill_at: float
    give_up_at: float
    """Then nothing more is waited for, neither workers nor the database."""

    @classmethod
    def within(cls, now: float, grace_s: float, patience_s: float) -> Stop:
        """Running steps get ``grace_s``; all of it is over in ``patience_s``."""
        give_up_at = now + patience_s
        deadline = min(now + grace_s, give_up_at)
        # No grace at all means that nobody wants to wait for them.
        kill_at = min(deadline + STOP_S, give_up_at) if grace_s > 0 else deadline
        return cls(deadline, kill_at, give_up_at)

    def sooner(self, other: Stop) -> Stop:
        """Asked twice: of each, the earlier counts."""
        return Stop(*map(min, self, other))


STOP_S = 2.0
"""A step that is told to end has a second to put things in order; then it is made to."""


Note = Envelope | ReadAhead | Offered | ReaderNews | ErrandAsked | Deleted | Stranded | Stop


class Inbox:
    """Notes in the order they came, and the bell that wakes the core for them."""

    def __init__(self) -> None:
        self.bell = Bell()
        self._notes: deque[Note] = deque()

    def __bool__(self) -> bool:
        return bool(self._notes)

    def post(self, note: Note) -> None:
        """Any thread: the note is heard in the next turn."""
        self._notes.append(note)
        self.bell.ring()

    def take(self, most: int) -> Iterator[Note]:
        """The core: what was there when it began to take, a bounded amount."""
        for _ in range(min(most, len(self._notes))):
            yield self._notes.popleft()
