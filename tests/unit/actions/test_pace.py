"""How many sub-plans may start when."""

import pytest

from dynflow_mp.actions.pace import Pace, checked_level, checked_span
from dynflow_mp.errors import BadArgument


@pytest.mark.parametrize(("level", "interval_s"), [(1, 1.0), (4, 0.25), (None, 1.0)])
def test_b183_ten_over_ten_seconds(level, interval_s):
    assert Pace(level, 10.0, 10).interval_s == interval_s


def test_without_a_pace_there_is_always_room():
    assert Pace().free
    assert Pace().room(1000, 1000, 0.0) is None
    assert Pace().next_start_s(7) is None


def test_a_limit_leaves_room_for_what_is_not_active():
    pace = Pace(4)

    assert [pace.room(active, 100, 0.0) for active in (0, 3, 4, 9)] == [4, 1, 0, 0]


def test_spread_over_time_one_more_may_start_each_interval():
    pace = Pace(None, 10.0, 10)

    assert pace.room(0, 0, 0.0) == 1
    assert pace.room(0, 1, 0.9) == 0
    assert pace.room(0, 1, 1.1) == 1
    assert pace.room(0, 1, 3.1) == 3
    assert pace.next_start_s(1) == 1.0


def test_both_together_are_as_narrow_as_the_narrower():
    pace = Pace(4, 10.0, 10)

    assert pace.room(0, 0, 0.0) == 4
    assert pace.room(4, 4, 0.3) == 0
    assert pace.room(3, 4, 0.3) == 1
    assert pace.room(3, 4, 0.1) == 0


def test_b186_it_is_over_once_the_time_has_passed():
    assert Pace(None, 10.0, 10).over(10.1)
    assert not Pace(None, 10.0, 10).over(9.9)
    assert not Pace(4).over(1e9)


@pytest.mark.parametrize("level", [-1, 1.5, "4", None, True])
def test_what_is_no_level_is_refused(level):
    with pytest.raises(BadArgument, match="limit_concurrency_level"):
        checked_level(level)


@pytest.mark.parametrize(
    ("seconds", "count"), [(0, 1), (-1, 1), ("1", 1), (float("nan"), 1), (1, 0), (1, 1.5), (True, 1)]
)
def test_what_is_no_span_is_refused(seconds, count):
    with pytest.raises(BadArgument, match="distribute_over_time"):
        checked_span(seconds, count)
