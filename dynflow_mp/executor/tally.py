"""What a worker's two threads share: what was begun, what was recalled, what waits to be sent."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

from dynflow_mp.actions.unwinding import Stopped
from dynflow_mp.executor.page import Page
from dynflow_mp.executor.wire import Outcome

Numbered = tuple[int, Outcome]


class Tally:
    """The begun-lock and what it protects. A job is either begun or given back, never both.

    Jobs come in the order of their numbers; so whatever is above the last one that came can be
    recalled, also when its frame still sits in the socket: a tombstone waits for it.
    """

    def __init__(self, page: Page) -> None:
        self._lock = Lock()
        self._page = page
        self.begun = 0
        """The number of the job begun last."""
        self._passed = 0
        self._finished = 0
        self._stop: tuple[int, Stopped] | None = None
        self._tombstones: set[int] = set()
        self.unsent: list[Numbered] = []
        """Outcomes not sent yet; others than the main thread only look whether there are any."""
        self.busy = False
        """Whether the main thread is in the middle of a batch."""

    def begin(self, number: int, now: float = 0.0) -> bool:
        """This job is to be run now (steady clock); False: it was recalled, leave it."""
        with self._lock:
            self._passed = number
            if number in self._tombstones:
                self._tombstones.remove(number)
                return False
            self.begun = number
            self._page.begin(number, now)
            return True

    def finish(self, number: int, outcome: Outcome) -> None:
        """The job begun last is done."""
        with self._lock:
            self._finished = number  # from here on it cannot be stopped any more
            self._page.finish(number)
            self.unsent.append((number, outcome))

    def recall(self, numbers: Iterable[int]) -> list[int]:
        """Do not begin these; returns those of them that were not begun and never will be."""
        with self._lock:
            given_back = [
                number for number in numbers if number > self._passed and number not in self._tombstones
            ]
            self._tombstones.update(given_back)
            self._page.give_back(given_back)
            return given_back

    def stop(self, number: int, stopped: Stopped) -> bool:
        """Have the job left by ``stopped``; False if it is not the one that runs."""
        with self._lock:
            if self.begun != number or self._finished == number:
                return False
            self._stop = number, stopped
            return True

    def stop_due(self) -> Stopped | None:
        """What the job that runs is to be left by, once. Called by the main thread in the middle of anything:

        it takes no lock, and needs none, since what it compares only this very thread changes.
        """
        stop, self._stop = self._stop, None
        if stop is None or stop[0] != self.begun or stop[0] == self._finished:
            return None
        return stop[1]

    def keep(self, frame: bytes) -> None:
        """Leave a frame of outcomes where it is found if we die before it is on its way."""
        with self._lock:
            self._page.keep(frame)

    def take_unsent(self) -> list[Numbered]:
        """The outcomes to send now; whoever takes them sends them."""
        with self._lock:
            taken, self.unsent = self.unsent, []
            return taken
