"""The clock that tests wind by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dynflow_mp.clock import monotonic, now_us, own_time
from dynflow_mp.testing import ManagedClock


@pytest.fixture
def clock():
    return ManagedClock(datetime(2030, 1, 1, tzinfo=UTC))


def test_it_stands_still_until_it_is_wound(clock):
    assert clock.current_time == datetime(2030, 1, 1, tzinfo=UTC)

    clock.advance(0.1 + 0.2)

    assert clock.current_time == datetime(2030, 1, 1, 0, 0, 0, 300_000, tzinfo=UTC)
    assert clock.elapsed_s == pytest.approx(0.3)


def test_pings_are_sorted_and_delivered_one_at_a_time(clock):
    heard = []
    clock.ping(heard, 1000, "late")
    clock.ping(heard, 1, "early")
    assert [(ping.due_s, ping.what) for ping in clock.pending_pings] == [(1, "early"), (1000, "late")]

    assert clock.progress()
    assert (heard, clock.elapsed_s) == (["early"], 1)
    assert clock.progress()
    assert (heard, clock.elapsed_s) == (["early", "late"], 1000)
    assert not clock.progress()


def test_advancing_delivers_what_comes_on_the_way_at_its_own_time(clock):
    times = []

    def again():
        times.append(clock.elapsed_s)
        clock.after(2, again)

    clock.after(2, again)
    clock.advance(7)

    assert times == [2, 4, 6]
    assert clock.elapsed_s == 7


def test_cancelled_and_cleared_timers_do_not_come(clock):
    heard = []
    assert clock.after(1, heard.append, "x").cancel()
    clock.after(2, heard.append, "y")

    clock.clear()

    assert not clock.progress()
    assert heard == []
    assert clock.pending_pings == []


def test_progress_all_gives_up_on_what_never_ends(clock):
    def again():
        clock.after(1, again)

    again()

    with pytest.raises(RuntimeError, match="still waits for its time after 50 jumps"):
        clock.progress_all(most=50)


def test_odd_fractions_leave_nothing_waiting(clock):
    clock.advance(1 / 3)
    heard = []
    for fraction in (0.1, 1 / 7, 2 / 3, 1e-6):
        clock.after(fraction, heard.append, fraction)

    assert clock.progress_all() == 4
    assert len(heard) == 4


def test_who_sees_the_clock_sees_its_time(clock):
    token = own_time.set(clock)
    try:
        clock.advance(5)
        assert now_us() == 1_893_456_005_000_000
        assert monotonic() == 5
    finally:
        own_time.reset(token)
    assert now_us() != 1_893_456_005_000_000


def test_a_start_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        ManagedClock(datetime(2030, 1, 1))


def test_what_cannot_be_called_is_refused(clock):
    with pytest.raises(TypeError, match="cannot be called"):
        clock.after(1, "x")
