"""Room for requests: who asks faster than is answered waits, so that memory has a bound."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Room:
    """For ``most`` at a time; ``taken`` tells how many there are. All methods may be called from any thread."""

    def __init__(self, most: int, taken: Callable[[], int]) -> None:
        self.most = most
        self._taken = taken
        # Its own lock may be taken again by the thread that has it: a signal handler may ask, too.
        self._changed = threading.Condition()
        self._waiting = 0

    @property
    def full(self) -> bool:
        """Whether there is no room for one more. Several that ask at once may all be told that there is."""
        return self._taken() >= self.most

    def wait(self, patience_s: float, in_vain: Callable[[], bool]) -> bool:
        """Wait until there is room, or it is ``in_vain`` to wait; False if neither comes in time."""
        with self._changed:
            self._waiting += 1
            try:
                return self._changed.wait_for(lambda: not self.full or in_vain(), patience_s)
            finally:
                self._waiting -= 1

    def tell(self) -> None:
        """There is one less."""
        if self._waiting:
            with self._changed:
                self._changed.notify_all()
