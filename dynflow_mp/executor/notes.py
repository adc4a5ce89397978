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


class Stop(NamedTuple):
    """Drain, then end; running steps have until ``deadline`` (steady clock)."""

    deadline: float


Note = Envelope | ReadAhead | Offered | ReaderNews | ErrandAsked | Deleted | Stop


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
