"""Answers for worlds that have not connected yet.

An executor that takes plans over as it starts answers their clients before these have found it. They look
for executors once a second while they wait for something, so they will be here in a moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from dynflow_mp.connectors.peers import MAX_WAITING, MAX_WAITING_BYTES, Waiting
from dynflow_mp.errors import PeerBusy
from dynflow_mp.model.messages import Envelope

_PATIENCE_S = 3.0


class Expected:
    """In the order they came, bounded in number and bytes. Owned by the connector's thread."""

    def __init__(self) -> None:
        self._waiting: deque[Waiting] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, waiting: Waiting) -> None:
        """Keep it for a while. Raises :class:`PeerBusy` when too much waits."""
        if len(self._waiting) >= MAX_WAITING or self._bytes + len(waiting.data) > MAX_WAITING_BYTES:
            raise PeerBusy(
                f"too much waits for worlds that are not connected, world {_whom(waiting)} among them"
            )
        self._waiting.append(waiting)
        self._bytes += len(waiting.data)

    def take(self, world_id: str) -> list[Waiting]:
        """What waited for this world, which is here now."""
        taken = [waiting for waiting in self._waiting if _whom(waiting) == world_id]
        if taken:
            self._keep([waiting for waiting in self._waiting if _whom(waiting) != world_id])
        return taken

    def overdue(self, now: float) -> Iterator[Envelope]:
        """Take out what has waited too long: its world is gone, or cannot reach us."""
        while self._waiting and now - self._waiting[0].since >= _PATIENCE_S:
            yield self._first()

    def everything(self) -> Iterator[Envelope]:
        """Take out all there is."""
        while self._waiting:
            yield self._first()

    def _first(self) -> Envelope:
        waiting = self._waiting.popleft()
        self._bytes -= len(waiting.data)
        return waiting.envelope

    def _keep(self, kept: list[Waiting]) -> None:
        self._waiting = deque(kept)
        self._bytes = sum(len(waiting.data) for waiting in kept)


def _whom(waiting: Waiting) -> str:
    return waiting.envelope.receiver_id
