"""Time, as the engine takes it: given, never asked for behind its back.

    after(0.5, deliver, what) ──▶ heap of timers by due time ──▶ clock thread: deliver(what)

Timers run on the monotonic clock: setting the machine's time moves none of them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Protocol

log = logging.getLogger("dynflow_mp.clock")

_LONGEST_WAIT_S = 3600.0
"""A wait for longer than the platform can express is an error; waking once an hour is not felt."""

_FEW_TIMERS = 64
"""Below this many, cancelled timers are not worth collecting before they are due."""


_COUNTS_SLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Hands(Protocol):
    """A time of its own for whoever runs in one context: a test that does not wait for a thousand seconds."""

    def now_us(self) -> int: ...
    def monotonic(self) -> float: ...


own_time: ContextVar[Hands | None] = ContextVar("dynflow_mp.own_time", default=None)
"""What tells the time in this context instead of the machine. Threads that are started in it do not inherit it."""


def now_us() -> int:
    """The wall clock, in microseconds since 1970, UTC."""
    hands = own_time.get()
    return time.time_ns() // 1000 if hands is None else hands.now_us()


def monotonic() -> float:
    """The steady clock, in seconds."""
    hands = own_time.get()
    return time.monotonic() if hands is None else hands.monotonic()


def steady() -> float:
    """Seconds that also pass while the machine sleeps, where the system counts them; the same in all processes of this machine."""
    hands = own_time.get()
    return time.clock_gettime(_COUNTS_SLEEP) if hands is None else hands.monotonic()


class Timer:
    """One delivery to come, as :meth:`Clock.after` gives it."""

    __slots__ = ("_args", "_clock", "_deliver", "due")

    def __init__(
        self, clock: Clock, due: float, deliver: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self._clock, self.due = clock, due
        self._deliver: Callable[..., object] | None = deliver
        self._args = args

    def cancel(self) -> bool:
        """Take the delivery back. True if it had not begun; then it never will."""
        return self._clock._cancel(self)

    @property
    def pending(self) -> bool:
        """Whether the delivery is still to come."""
        return self._deliver is not None

    def _take(self) -> Callable[[], object] | None:
        deliver, args = self._deliver, self._args
        self._deliver, self._args = None, ()
        return None if deliver is None else lambda: deliver(*args)


class Clock:
    """Cancellable timers, delivered by one thread, ``dynflow clock``, in order of due time, never early.

    Any thread may set and cancel timers. A delivery that raises is logged and stops no other; one that
    blocks delays all that follow, so deliveries only leave a note.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._timers: list[tuple[float, int, Timer]] = []
        self._arrivals = count()
        self._cancelled = 0
        self._thread: threading.Thread | None = None
        self._stopped = False

    def start(self) -> None:
        """Begin to deliver, timers set before included."""
        with self._changed:
            if self._thread is not None:
                return
            self._stopped = False
            self._thread = threading.Thread(target=self._run, name="dynflow clock", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Deliver nothing more and forget all timers. One that is being delivered is waited for."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._stopped = True
            self._forget_all()
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=10)

    def after(self, delay_s: float, deliver: Callable[..., object], *args: Any) -> Timer:
        """Call ``deliver(*args)`` on the clock's thread in ``delay_s`` seconds.

        On a stopped clock the timer never fires.
        """
        _check_delay(delay_s)
        if not callable(deliver):
            raise TypeError(f"{deliver!r} cannot be called when the time has come")
        with self._changed:
            timer = Timer(self, time.monotonic() + delay_s, deliver, args)
            if self._stopped:
                timer._take()
                return timer
            is_next = not self._timers or timer.due < self._timers[0][0]
            heappush(self._timers, (timer.due, next(self._arrivals), timer))
            if is_next:
                self._changed.notify_all()
        return timer

    def ping(self, who: object, delay_s: float, what: object = None, method: str = "append") -> Timer:
        """Call ``who.method(what)`` in ``delay_s`` seconds, without argument if ``what`` is None."""
        deliver = getattr(who, method, None)
        if not callable(deliver):
            raise TypeError(f"a {type(who).__name__} has no method {method!r} to deliver to")
        return self.after(delay_s, deliver, *(() if what is None else (what,)))

    @property
    def pending(self) -> int:
        """How many timers are still to be delivered."""
        with self._changed:
            return len(self._timers) - self._cancelled

    def _run(self) -> None:
        me = threading.current_thread()
        while True:
            with self._changed:
                delivery = self._next_delivery(me)
            if delivery is None:
                return
            try:
                delivery()
            except Exception:
                log.exception("a timer's delivery failed", extra={"action": "timer_failed"})

    def _next_delivery(self, me: threading.Thread) -> Callable[[], object] | None:
        """Wait until a timer is due and take it; None once this thread is not the clock's any more."""
        while self._thread is me:
            wait_s = _LONGEST_WAIT_S
            if self._timers:
                wait_s = self._timers[0][0] - time.monotonic()
                if wait_s <= 0:
                    delivery = heappop(self._timers)[2]._take()
                    if delivery is not None:
                        return delivery
                    self._cancelled -= 1
                    continue
            self._changed.wait(min(wait_s, _LONGEST_WAIT_S))
        return None

    def _cancel(self, timer: Timer) -> bool:
        with self._changed:
            if timer._take() is None:
                return False
            self._cancelled += 1
            if self._cancelled > _FEW_TIMERS and self._cancelled * 2 > len(self._timers):
                self._drop_cancelled()
            return True

    def _drop_cancelled(self) -> None:
        self._timers = [entry for entry in self._timers if entry[2].pending]
        heapify(self._timers)
        self._cancelled = 0

    def _forget_all(self) -> None:
        for _, _, timer in self._timers:
            timer._take()
        self._timers.clear()
        self._cancelled = 0


def _check_delay(delay_s: object) -> None:
    if isinstance(delay_s, bool) or not isinstance(delay_s, (int, float)) or delay_s != delay_s:
        raise TypeError(f"a delay is a number of seconds, not {delay_s!r}")
