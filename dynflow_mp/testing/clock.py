"""A clock that a test winds by hand: nothing waits, and a thousand seconds take no time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from heapq import heappush
from typing import Any, NamedTuple, Protocol

from dynflow_mp.clock import Clock, Timer

_MICRO = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Ping(NamedTuple):
    """Something that waits for its time: ``due_s`` in seconds since the clock was made."""

    due_s: float
    what: Any


class TimeKeeper(Protocol):
    """Somebody else with timers on this clock."""

    @property
    def next_due(self) -> float | None:
        """When the next one is due (the clock's ``monotonic``); None if there is none."""

    @property
    def pings(self) -> list[Ping]:
        """All of them."""

    def go_on(self) -> None:
        """The time has moved: do what is due."""


class ManagedClock(Clock):
    """Stands still until it is told to move; a :class:`~dynflow_mp.clock.Clock` without a thread.

    It begins at ``start``, by default now. Of one thread.
    """

    def __init__(self, start: datetime | None = None) -> None:
        super().__init__()
        self._start_us = time.time_ns() // 1000 if start is None else _microseconds(start)
        self._elapsed_s = 0.0
        self._keepers: list[TimeKeeper] = []

    # -- what time it is -------------------------------------------------------------------------------

    def now_us(self) -> int:
        """Microseconds since 1970, UTC, on this clock."""
        return self._start_us + round(self._elapsed_s * _MICRO)

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed_s

    @property
    def current_time(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.now_us())

    @property
    def elapsed_s(self) -> float:
        """Seconds since the clock was made."""
        return self.monotonic()

    # -- what waits ------------------------------------------------------------------------------------

    @property
    def pending_pings(self) -> list[Ping]:
        """Everything that waits for its time, the next one first."""
        own = [Ping(due, _shown(timer)) for due, _, timer in sorted(self._timers) if timer.pending]
        others = [ping for keeper in self._keepers for ping in keeper.pings]
        return sorted(own + others, key=lambda ping: ping.due_s)

    @property
    def next_due(self) -> float | None:
        """When the next thing is due, in seconds since the clock was made."""
        due = [timer.due for _, _, timer in self._timers if timer.pending]
        due += [at for keeper in self._keepers if (at := keeper.next_due) is not None]
        return min(due, default=None)

    # -- winding ---------------------------------------------------------------------------------------

    def progress(self) -> bool:
        """Jump to the next ping and deliver it; False if nothing waits."""
        due = self.next_due
        if due is None:
            return False
        self.jump_to(due)
        self._tell_keepers()
        return True

    def progress_all(self, most: int = 10_000) -> int:
        """Deliver everything that waits, and what comes of it, in order; how many jumps that took.

        Raises ``RuntimeError`` after ``most`` of them: something sets a timer again each time.
        """
        for jumps in range(most):
            if not self.progress():
                return jumps
        raise RuntimeError(
            f"something still waits for its time after {most:,} jumps: {self.pending_pings[0]}"
        )

    def advance(self, seconds: float) -> None:
        """Let so much time pass, and deliver what is due on the way when its time has come."""
        until = self.monotonic() + seconds
        while (due := self.next_due) is not None and due <= until:
            self.progress()
        self._move_to(until)
        self._tell_keepers()

    def clear(self) -> None:
        """Forget what waits on the clock itself."""
        with self._changed:
            self._forget_all()

    def jump_to(self, due: float) -> None:
        """Move the hands, and deliver what is due on the clock itself."""
        self._move_to(due)
        for timer in self._take_due():
            delivery = timer._take()
            if delivery is not None:
                delivery()

    def watch(self, keeper: TimeKeeper) -> None:
        """Have ``keeper`` told when the time has moved, and its timers counted."""
        self._keepers.append(keeper)

    def _tell_keepers(self) -> None:
        for keeper in self._keepers:
            keeper.go_on()

    def _move_to(self, due: float) -> None:
        self._elapsed_s = max(self._elapsed_s, due)

    def _take_due(self) -> Iterator[Timer]:
        now = self.monotonic()
        due = sorted(entry for entry in self._timers if entry[0] <= now)
        self._timers = [entry for entry in self._timers if entry[0] > now]
        return (timer for _, _, timer in due)

    # -- as the engine's own clock ---------------------------------------------------------------------

    def start(self) -> None:
        """Nothing to start: there is no thread."""

    def stop(self) -> None:
        """Forget what waits."""
        self.clear()

    def after(self, delay_s: float, deliver: Callable[..., object], *args: Any) -> Timer:
        """Call ``deliver(*args)`` when the clock has moved on by ``delay_s`` seconds."""
        if not callable(deliver):
            raise TypeError(f"{deliver!r} cannot be called when the time has come")
        timer = Timer(self, self.monotonic() + delay_s, deliver, args)
        heappush(self._timers, (timer.due, next(self._arrivals), timer))
        return timer

    def __repr__(self) -> str:
        return f"<ManagedClock {self.current_time:%Y-%m-%d %H:%M:%S.%f}, {len(self.pending_pings)} pending>"


def _shown(timer: Timer) -> Any:
    return timer._args[0] if len(timer._args) == 1 else timer._args or timer._deliver


def _microseconds(at: datetime) -> int:
    if at.tzinfo is None:
        raise ValueError(f"start={at!r}: must be aware of its time zone")
    return (at - _EPOCH) // timedelta(microseconds=1)
