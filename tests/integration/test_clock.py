"""The clock: its timers come in order and never early, and no target stops the others."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from dynflow_mp.clock import Clock, now_us

DEADLINE_S = 5.0


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    clock.start()
    yield clock
    clock.stop()


class Arrivals:
    """What a clock delivered, with the time it came."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[object, float]] = SimpleQueue()

    def append(self, what: object) -> None:
        self._queue.put((what, time.monotonic()))

    def take(self, number: int) -> list[tuple[object, float]]:
        return [self._queue.get(timeout=DEADLINE_S) for _ in range(number)]

    def names(self, number: int) -> list[object]:
        return [what for what, _ in self.take(number)]

    @property
    def empty(self) -> bool:
        return self._queue.empty()


def test_pinging_what_cannot_be_delivered_to_is_a_type_error(clock: Clock) -> None:
    """Worlds 25, core B340."""
    with pytest.raises(TypeError, match="no method 'append'"):
        clock.ping(object(), 0.1, "x")

    clock.ping([], 0.1, "x")


def test_a_delay_that_is_no_number_is_a_type_error(clock: Clock) -> None:
    for delay in ("1", None, True, float("nan"), [1]):
        with pytest.raises(TypeError, match="number of seconds"):
            clock.after(delay, print)  # type: ignore[arg-type]  # what is tested


def test_what_cannot_be_called_is_a_type_error(clock: Clock) -> None:
    with pytest.raises(TypeError, match="cannot be called"):
        clock.after(0.1, "not a function")  # type: ignore[arg-type]  # what is tested


def test_a_ping_brings_the_same_object_and_not_early(clock: Clock) -> None:
    """Core B341."""
    arrivals, payload = Arrivals(), object()
    began = time.monotonic()

    clock.ping(arrivals, 0.1, payload)
    what, came = arrivals.take(1)[0]

    assert what is payload
    assert came - began >= 0.1


def test_a_ping_without_payload_calls_without_argument(clock: Clock) -> None:
    rang = threading.Event()

    clock.ping(rang, 0.01, method="set")

    assert rang.wait(DEADLINE_S)


def test_timers_come_in_order_of_their_time_and_never_early(clock: Clock) -> None:
    """Worlds 27."""
    arrivals, began = Arrivals(), time.monotonic()

    for delay in (0.3, 0.1, 0.2):
        clock.ping(arrivals, delay, delay)
    came = arrivals.take(3)

    assert [delay for delay, _ in came] == [0.1, 0.2, 0.3]
    assert all(when - began >= delay for delay, when in came)  # type: ignore[operator]  # delays are floats


def test_many_threads_timers_each_arrive_once(clock: Clock) -> None:
    """Worlds 28, core B343: 4 threads × 20 random timers."""
    chance = random.Random(28)
    delays = [[chance.random() * 0.5 for _ in range(20)] for _ in range(4)]
    arrivals = [Arrivals() for _ in delays]

    def set_timers(own: Arrivals, own_delays: list[float]) -> None:
        for number, delay in enumerate(own_delays):
            clock.ping(own, delay, number)

    threads = [threading.Thread(target=set_timers, args=pair) for pair in zip(arrivals, delays, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)

    assert [sorted(own.names(20)) for own in arrivals] == [list(range(20))] * 4  # type: ignore[type-var]  # ints
    assert all(own.empty for own in arrivals)


def test_identical_timers_do_not_collapse_and_keep_their_order(clock: Clock) -> None:
    arrivals = Arrivals()

    for name in ("same", "same", "other"):
        clock.ping(arrivals, 0, name)

    assert arrivals.names(3) == ["same", "same", "other"]


def test_a_target_that_fails_stops_nobody_else(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    arrivals = Arrivals()

    clock.after(0, lambda: 1 / 0)
    clock.ping(arrivals, 0.01, "after it")

    assert arrivals.names(1) == ["after it"]
    assert "delivery failed" in caplog.text


def test_a_cancelled_timer_never_comes(clock: Clock) -> None:
    arrivals = Arrivals()
    timer = clock.ping(arrivals, 0.05, "cancelled")
    clock.ping(arrivals, 0.1, "not cancelled")

    first, second = timer.cancel(), timer.cancel()

    assert (first, second) == (True, False)
    assert arrivals.names(1) == ["not cancelled"]
    assert arrivals.empty


def test_a_delivered_timer_cannot_be_cancelled(clock: Clock) -> None:
    arrivals = Arrivals()

    timer = clock.ping(arrivals, 0, "x")
    arrivals.take(1)

    assert not timer.cancel()
    assert not timer.pending


def test_cancelled_timers_do_not_pile_up(clock: Clock) -> None:
    timers = [clock.after(3600, print) for _ in range(1000)]

    for timer in timers[1:]:
        timer.cancel()

    assert clock.pending == 1
    assert len(clock._timers) < 200


def test_stopping_forgets_all_timers(clock: Clock) -> None:
    arrivals = Arrivals()
    timer = clock.ping(arrivals, 0.01, "forgotten")

    clock.stop()
    late = clock.ping(arrivals, 0, "after the stop")
    clock.start()
    clock.ping(arrivals, 0.05, "started again")

    assert arrivals.names(1) == ["started again"]
    assert arrivals.empty
    assert not timer.pending
    assert not late.pending


def test_starting_and_stopping_twice_is_fine() -> None:
    clock = Clock()

    for _ in range(2):
        clock.start()
        clock.start()
        clock.stop()
        clock.stop()

    assert clock.pending == 0


def test_a_delivery_may_stop_its_clock(clock: Clock) -> None:
    stopped = threading.Event()

    def stop() -> None:
        clock.stop()
        stopped.set()

    clock.after(0, stop)

    assert stopped.wait(DEADLINE_S)


def test_timers_set_before_the_start_are_kept() -> None:
    clock, arrivals = Clock(), Arrivals()
    clock.ping(arrivals, 0, "early bird")

    clock.start()

    assert arrivals.names(1) == ["early bird"]
    clock.stop()


def test_a_timer_for_ever_is_allowed(clock: Clock) -> None:
    assert clock.after(float("inf"), print).cancel()


def test_the_wall_clock_counts_microseconds() -> None:
    assert abs(now_us() / 1e6 - time.time()) < 1
