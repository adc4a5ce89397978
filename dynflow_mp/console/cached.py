"""Answers that are good for a while: whoever asks meanwhile gets the last one, and one at a time is made."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from dynflow_mp.clock import monotonic

T = TypeVar("T")


class Cached(Generic[T]):
    """What ``make`` returned last, no older than ``good_for_s``. Any thread may call it.

    While it is being made, and takes longer than ``wait_s``, others get None: a database that hangs holds one
    thread, not all of them.
    """

    def __init__(self, make: Callable[[], T], good_for_s: float, wait_s: float) -> None:
        self._make, self._good_for_s, self._wait_s = make, good_for_s, wait_s
        self._lock = Lock()
        self._made: tuple[float, T] | None = None

    def get(self) -> T | None:
        """The answer; None if it is not there in time. What ``make`` raises is raised."""
        if not self._lock.acquire(timeout=self._wait_s):
            return None
        try:
            if self._made is None or monotonic() - self._made[0] > self._good_for_s:
                self._made = (monotonic(), self._make())
            return self._made[1]
        finally:
            self._lock.release()
