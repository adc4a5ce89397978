"""What a world has posted and does not know to be taken: bounded for each receiver, and given up in time.

reserved ─▶ posted ─┬─ taken (its receiver has nothing left up to it)
                    └─ its receiver has taken nothing for ``patience_s``: given up, and its sender told

Pure: time is given, in seconds of a steady clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from dynflow_mp.model.messages import Envelope

MAX_WAITING = 20_000
MAX_WAITING_BYTES = 64 * 1024 * 1024

_SLOW_S = 2.0
"""Who has not taken something for so long is passed over where others can do it."""


class Posted(NamedTuple):
    """One envelope on its way, as its sender knows it."""

    envelope: Envelope
    receiver_id: str
    number: int
    size: int


class _Box:
    """What is on its way to one receiver, in order."""

    __slots__ = ("bytes", "count", "moved_at", "posted")

    def __init__(self) -> None:
        self.posted: deque[tuple[Posted, float]] = deque()
        self.count = self.bytes = 0
        self.moved_at = 0.0

    def take_until(self, lowest: int | None) -> Iterator[Posted]:
        """Take out all before this number; all there is, if None."""
        while self.posted and (lowest is None or self.posted[0][0].number < lowest):
            posted, _ = self.posted.popleft()
            self.count -= 1
            self.bytes -= posted.size
            yield posted


class Receipts:
    """By receiver, what was posted and not known to be taken."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._boxes: dict[str, _Box] = {}

    def __bool__(self) -> bool:
        return bool(self._boxes)

    def __contains__(self, receiver_id: str) -> bool:
        return receiver_id in self._boxes

    def reserve(self, receiver_id: str, size: int) -> bool:
        """Make room for one more; False when too much waits for this receiver. One alone fits, whatever its size."""
        box = self._boxes.setdefault(receiver_id, _Box())
        if box.count and (box.count >= MAX_WAITING or box.bytes + size > MAX_WAITING_BYTES):
            return False
        box.count += 1
        box.bytes += size
        return True

    def cancel(self, posted: Posted) -> None:
        """What was reserved for this is not needed: it was never posted."""
        box = self._boxes[posted.receiver_id]
        box.count -= 1
        box.bytes -= posted.size
        self._forget_if_empty(posted.receiver_id)

    def posted(self, posted: Posted, now: float) -> None:
        """It is stored."""
        box = self._boxes[posted.receiver_id]
        if not box.posted:
            box.moved_at = now
        box.posted.append((posted, now))

    def compare(self, lowest: Mapping[str, int], now: float) -> None:
        """Whatever lies before the lowest number that still waits for a receiver was taken."""
        for receiver_id, box in list(self._boxes.items()):
            taken = sum(1 for _ in box.take_until(lowest.get(receiver_id)))
            if taken:
                box.moved_at = now
            self._forget_if_empty(receiver_id)

    def begin_anew(self, now: float) -> None:
        """The database was away: nobody could take anything."""
        for box in self._boxes.values():
            box.moved_at = now

    def receivers(self) -> list[str]:
        """Those who have not taken something that was posted."""
        return [receiver_id for receiver_id, box in self._boxes.items() if box.posted]

    def overdue(self, now: float) -> list[tuple[str, int]]:
        """Receivers that take nothing any more, each with the number up to which it is given up."""
        found = []
        for receiver_id, box in self._boxes.items():
            if now - box.moved_at < self._patience_s:
                continue
            old = [posted.number for posted, since in box.posted if now - since >= self._patience_s]
            if old:
                found.append((receiver_id, old[-1]))
        return found

    def last_number(self, receiver_id: str) -> int:
        """The number of the last that was posted to a receiver who has not taken it."""
        return self._boxes[receiver_id].posted[-1][0].number

    def give_up(self, receiver_id: str, up_to: int) -> list[Envelope]:
        """Take out what was posted up to this number: it is withdrawn."""
        given_up = [posted.envelope for posted in self._boxes[receiver_id].take_until(up_to + 1)]
        self._forget_if_empty(receiver_id)
        return given_up

    def slow(self, receiver_id: str, now: float) -> bool:
        """Whether something posted to this receiver has not been taken for some time."""
        box = self._boxes.get(receiver_id)
        return box is not None and bool(box.posted) and now - max(box.posted[0][1], box.moved_at) >= _SLOW_S

    def _forget_if_empty(self, receiver_id: str) -> None:
        if not self._boxes[receiver_id].count:
            del self._boxes[receiver_id]
