"""What waits for one world in the database: taken in order, handed over once, then acknowledged.

waiting ─▶ handed over ─▶ acknowledged with the next write: deleted
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from dynflow_mp.connectors.delivery import Delivery
from dynflow_mp.errors import ProtocolError
from dynflow_mp.model.messages import Envelope
from dynflow_mp.persistence.envelopes import AT_ONCE, EnvelopeStore, Letter

_UNACKNOWLEDGED_S = 0.02
"""How long an acknowledgement waits for something else to be written with it."""
_MOST_REMEMBERED = 10_000


class Inbox:
    """Owned by the connector's thread.

    A poster's numbers rise, so one that was seen is a letter that was handed over before: its acknowledgement
    did not get through, or its poster stored it twice because it did not hear that the first time had worked.
    """

    def __init__(
        self,
        store: EnvelopeStore,
        delivery: Delivery,
        heard_of: Callable[[str], None] = lambda world_id: None,
    ) -> None:
        """``heard_of`` is told whose letters come: that world is awake."""
        self._store, self._delivery, self._heard_of = store, delivery, heard_of
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._unacknowledged: dict[str, int] = {}
        self._due_at = float("inf")

    def look(self) -> tuple[int, bool]:
        """Hand over what waits, a bounded amount: how many letters were new, and whether more may wait.

        Raises :class:`PersistenceError`; what was handed over before is not handed over again.
        """
        letters = self._store.waiting(self._delivery.world_id)
        new = sum([self._take(letter) for letter in letters])
        return new, len(letters) == AT_ONCE

    def _take(self, letter: Letter) -> bool:
        poster = letter.posted_by
        if letter.number <= self._seen.get(poster, 0):
            self._acknowledge(letter)
            return False
        data = self._store.load(letter) if letter.data is None else letter.data
        self._seen[poster] = letter.number
        self._seen.move_to_end(poster)
        if len(self._seen) > _MOST_REMEMBERED:
            self._seen.popitem(last=False)
        if data is not None:  # else it was withdrawn a moment ago
            self._heard_of(poster)
            self._hand_over(poster.encode(), bytes(data))
        self._acknowledge(letter)
        return True

    def _hand_over(self, poster: bytes, data: bytes) -> None:
        if not self._delivery.listens_to(poster):
            return
        try:
            self._delivery.deliver(Envelope.from_bytes(data))
        except ProtocolError as error:
            self._delivery.refuse(poster, error)

    # -- acknowledging ---------------------------------------------------------------------------------

    def _acknowledge(self, letter: Letter) -> None:
        if not self._unacknowledged:
            self._due_at = time.monotonic() + _UNACKNOWLEDGED_S
        known = self._unacknowledged.get(letter.posted_by, 0)
        self._unacknowledged[letter.posted_by] = max(known, letter.number)

    @property
    def due_at(self) -> float:
        """When acknowledgements are to be written, if nothing else is before."""
        return self._due_at

    def unacknowledged(self) -> dict[str, int]:
        """By poster, the number up to which its letters were handed over and are still stored."""
        return dict(self._unacknowledged)

    def acknowledged(self) -> None:
        """All of them were."""
        self._unacknowledged.clear()
        self._due_at = float("inf")
