"""Bars of a timeline: where they lie, and what becomes of those that are too short."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from dynflow_mp.console.views.time_chart import MOST_BARS, MOST_LANES, chart, window_of

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


class Span(NamedTuple):
    step_id: int
    lane: str
    start: datetime
    end: datetime
    state: str = "success"
    critical: bool = False


def a_span(step_id, first_s, last_s, lane="pid 1", **more):
    return Span(step_id, lane, START + timedelta(seconds=first_s), START + timedelta(seconds=last_s), **more)


def drawn(*spans, path=(), window=None):
    end = max(span.end for span in spans)
    return chart(spans, path, "Step{}".format, START, end, window)


def test_a_bar_lies_where_its_time_was():
    found = drawn(a_span(1, 0, 25), a_span(2, 50, 100, critical=True), path=[2])

    (lane,) = found.lanes
    first, second = lane.bars
    assert (first.x, first.width, second.x, second.width) == (0, 25, 50, 50)
    assert second.critical
    assert "critical path" in second.words
    assert [one.title for one in found.path] == ["Step2"]
    assert found.path_words == "1 step, 50 s of 1 min 40 s."


def test_each_worker_has_a_lane():
    found = drawn(a_span(1, 0, 1), a_span(2, 0, 1, "pid 2"))

    assert [lane.title for lane in found.lanes] == ["pid 1", "pid 2"]


def test_workers_that_are_too_many_to_be_drawn_are_counted():
    found = drawn(*(a_span(number, 0, 1, f"pid {number}") for number in range(MOST_LANES + 7)))

    assert (len(found.lanes), found.lanes_left) == (MOST_LANES, 7)
    assert drawn(a_span(1, 0, 1)).lanes_left == 0


def test_bars_of_one_lane_that_overlap_lie_below_each_other():
    found = drawn(a_span(1, 0, 60), a_span(2, 10, 30), a_span(3, 40, 50))

    assert len({bar.y for bar in found.lanes[0].bars}) == 2
    assert found.lanes[0].height > 40


def test_ten_thousand_short_steps_are_few_bars_that_count_them():
    spans = [a_span(number, number / 100, number / 100 + 0.009) for number in range(10_000)]

    found = drawn(*spans)

    bars = found.lanes[0].bars
    assert 100 < len(bars) <= MOST_BARS
    assert sum(bar.steps for bar in bars) == 10_000
    assert found.merged


def test_a_failed_step_among_many_is_seen():
    spans = [a_span(number, number / 100, number / 100 + 0.009) for number in range(5_000)]
    spans[77] = spans[77]._replace(state="error")

    assert "error" in {bar.state for bar in drawn(*spans).lanes[0].bars}


def test_a_bar_of_many_leads_to_where_they_are_seen():
    spans = [a_span(number, number / 100, number / 100 + 0.009) for number in range(10_000)]
    bar = drawn(*spans).lanes[0].bars[50]

    first, last = (float(value) for _, value in bar.params)
    closer = drawn(*spans, window=(first, last))

    assert closer.zoomed
    assert max(one.steps for one in closer.lanes[0].bars) < bar.steps


def test_all_places_are_within_the_chart():
    found = drawn(a_span(1, 0, 0), a_span(2, 99.9999, 100), a_span(3, 0, 100, "pid 2"), window=(20, 60))

    for lane in found.lanes:
        for bar in lane.bars:
            assert 0 <= bar.x <= 100
            assert 0 < bar.width <= 100


@pytest.mark.parametrize("seconds", [0.000001, 0.4, 3, 59, 4_000, 10**6, 10**9])
def test_a_scale_has_few_marks(seconds):
    found = drawn(a_span(1, 0, seconds))

    assert len(found.ticks) <= 18
    assert all(0 <= tick.x <= 100 for tick in found.ticks)


@pytest.mark.parametrize(
    ("first", "last"),
    [(None, None), ("1", None), ("x", "2"), ("3", "2"), ("-1", "2"), ("nan", "1"), ("0", "inf")],
)
def test_what_is_no_part_of_a_chart_is_all_of_it(first, last):
    assert window_of(first, last) is None
