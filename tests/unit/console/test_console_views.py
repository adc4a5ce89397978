"""Texts, rows, columns, worlds and waits as pages show them."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynflow_mp.console.views.cut_text import cut, cut_end, one_line
from dynflow_mp.console.views.data_text import data_text
from dynflow_mp.console.views.lock_lines import lock_lines
from dynflow_mp.console.views.paging import Pages, one_page
from dynflow_mp.console.views.plan_columns import columns, in_words, params_of
from dynflow_mp.console.views.planned_tree import planned_order
from dynflow_mp.console.views.step_rows import AskedSteps, asked_for, took_s
from dynflow_mp.console.views.wait_lines import wait_lines
from dynflow_mp.console.views.words import counted, result_word, short_id, state_word
from dynflow_mp.console.views.world_cards import Leases, world_card
from dynflow_mp.coordinator.records import ExecutionLock, SingletonActionLock, WorldRecord
from dynflow_mp.errors import DamagedData, QueryError
from dynflow_mp.model.signals import Cancel
from dynflow_mp.reading.plan_query import PlanQuery
from dynflow_mp.reading.wait import Wait, WaitKind

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
PLAN = "01890000-0000-7000-8000-000000000001"


# -- texts ---------------------------------------------------------------------------------------------


def test_a_long_text_is_cut_at_either_end_and_what_is_left_counted():
    text = "a" * 10 + "b" * 10

    assert cut(text, 10) == ("a" * 10, 10)
    assert cut_end(text, 10) == ("b" * 10, 10)
    assert not cut(text).is_cut


@given(st.text(max_size=600))
def test_one_line_is_one_line(text):
    line = one_line(text, 100)

    assert len(line) <= 101
    assert len(line.splitlines()) <= 1


def test_what_json_does_not_know_is_told_in_words():
    text = data_text({"a": b"\x00<", "b": NOW, "c": Cancel, "d": (1, 2)})

    assert "<2 bytes: 00 3c>" in text
    assert "<datetime 2026-03-01T09:00:00+00:00>" in text
    assert "<signal cancel>" in text


def test_bytes_are_had_whole_too():
    assert data_text(b"\x00<", whole=True) == '"<2 bytes, base64: ADw=>"'


def test_megabytes_of_bytes_are_a_line():
    assert len(data_text(b"\xff" * 10_000_000)) < 200


def test_words():
    assert (state_word("error"), state_word("odd"), result_word("pending")) == ("failed", "odd", "none yet")
    assert (counted(1, "step"), counted(2_000, "step")) == ("1 step", "2,000 steps")
    assert (short_id("x" * 9 + "12345678"), short_id(None)) == ("…12345678", "–")


# -- pages of lists ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "page", "first", "last", "more"),
    [
        (0, 0, 0, 0, False),
        (5, 0, 1, 5, False),
        (60, 1, 51, 60, False),
        (120, 1, 51, 100, True),
        (5, 9, 5, 5, False),
    ],
)
def test_where_a_page_lies(total, page, first, last, more):
    pages = Pages(total, page, 50)

    assert (pages.first, pages.last, pages.has_next, pages.has_previous) == (first, last, more, page > 0)


@pytest.mark.parametrize(
    ("total", "page", "past"), [(0, 0, False), (0, 3, False), (50, 0, False), (50, 1, True)]
)
def test_a_page_is_past_the_end_only_where_there_is_something(total, page, past):
    assert Pages(total, page, 50).is_past_end is past


def test_links_of_a_list_keep_how_many_are_on_a_page():
    usual = PlanQuery().per_page

    assert params_of(PlanQuery(), usual) == []
    assert params_of(PlanQuery(per_page=25), usual) == [("per_page", "25")]
    assert params_of(PlanQuery(), 25) == [("per_page", str(usual))]
    by_label = next(one for one in columns(PlanQuery(), 25) if one.title == "Label")
    assert ("per_page", str(usual)) in by_label.params


def test_one_page_of_items():
    assert one_page(range(10), 1, 4) == range(4, 8)


def test_a_column_orders_by_it_and_then_the_other_way_round():
    by_label = next(one for one in columns(PlanQuery(page=7), 50) if one.title == "Label")
    again = next(one for one in columns(PlanQuery.from_params(by_label.params), 50) if one.title == "Label")

    assert (by_label.sort, again.sort) == (None, "ascending")
    assert PlanQuery.from_params(by_label.params).page == 0
    assert PlanQuery.from_params(again.params).desc is True


def test_filters_in_words():
    query = PlanQuery.from_params([("state", "paused"), ("label", "shop"), ("since", "2026-03-01T09:00:00Z")])

    assert (
        in_words(query)
        == "Of plans whose state is paused, label contains “shop”, started since 2026-03-01T09:00:00 UTC."
    )
    assert in_words(PlanQuery()) == ""


# -- steps ---------------------------------------------------------------------------------------------


class Damaged:
    id, state, phase, action_class_name = 3, "error", "run", "shop.Unpack"

    @property
    def error(self):
        raise DamagedData("broken")


def a_step(step_id, state="success", phase="run", name="shop.Fetch", error=None):
    return SimpleNamespace(id=step_id, state=state, phase=phase, action_class_name=name, error=error)


def test_how_long_a_step_took_or_takes():
    begun, ended = NOW - timedelta(hours=2), NOW - timedelta(hours=1)

    def took(state, started_at=begun, ended_at=None, real_time=0.0):
        step = SimpleNamespace(state=state, started_at=started_at, ended_at=ended_at, real_time=real_time)
        return took_s(step, NOW)

    assert took("running") == took("suspended") == 7200.0
    assert took("running", ended_at=ended, real_time=3600.0) == 7200.0  # it is tried again
    assert took("success", ended_at=ended, real_time=3600.0) == 3600.0
    assert took("pending", started_at=None) is None


def test_steps_are_asked_for_by_state_phase_class_number_and_error():
    error = SimpleNamespace(exception_class="ValueError", message="No Disk")
    steps = [a_step(1, phase="plan"), a_step(2, "error", error=error), Damaged(), a_step(10)]

    def ids(**given):
        return [step.id for step in asked_for(steps, AskedSteps.from_params(given.items()))]

    assert ids() == [1, 2, 3, 10]
    assert ids(state="error") == [2, 3]
    assert ids(phase="plan") == [1]
    assert ids(text="unpack") == [3]
    assert ids(text="10") == [10]
    assert ids(text="no disk") == [2]


def test_steps_cannot_be_asked_for_by_anything():
    with pytest.raises(QueryError, match="state='asleep'"):
        AskedSteps.from_params([("state", "asleep")])
    with pytest.raises(QueryError, match="more than 200"):
        AskedSteps.from_params([("text", "x" * 201)])


def test_who_planned_whom_is_told_even_of_rows_that_name_each_other():
    steps = {
        1: SimpleNamespace(children=[2, 3, 9]),
        2: SimpleNamespace(children=[1]),
        3: SimpleNamespace(children=[]),
    }

    assert planned_order(1, steps) == [(1, 0), (2, 1), (3, 1)]


# -- waits ---------------------------------------------------------------------------------------------


def test_steps_that_wait_for_the_same_are_one_line():
    waits = [Wait(step, WaitKind.SLOT, "waits for a worker", NOW) for step in range(1, 11)]
    waits.append(Wait(20, WaitKind.STEP, "waits for step 1", None))
    waits.append(Wait(30, WaitKind.EVENT, "waits for an event", NOW - timedelta(1)))

    lines, left = wait_lines(waits, "running")

    assert [line.sentence for line in lines] == [
        "waits for a worker",
        "waits for an event",
        "waits for step 1",
    ]
    assert (lines[0].step_ids, lines[0].left, left) == ((1, 2, 3, 4), 6, 0)


def test_why_a_plan_that_nobody_runs_waits_is_said_once():
    waits = [
        Wait(None, WaitKind.RESUME, "is paused", NOW),
        Wait(3, WaitKind.RESUME, "waits with its plan", NOW),
    ]

    lines, _ = wait_lines(waits, "paused")

    assert [line.sentence for line in lines] == ["is paused"]


# -- worlds and locks ----------------------------------------------------------------------------------


def test_a_lease_that_changes_is_seen_one_that_stands_still_is_silent():
    leases, record = Leases(), WorldRecord("w", executor=True, lease=1)

    told = [leases.look([record], 0.0), leases.look([record], 4.0), leases.look([record], 12.0)]
    told.append(leases.look([WorldRecord("w", executor=True, lease=2)], 15.0))
    told.append(leases.look([WorldRecord("w", executor=True, lease=2)], 18.0))

    assert told == [{"w": None}, {"w": None}, {"w": 12.0}, {"w": 0.0}, {"w": 3.0}]


def test_a_lease_that_changed_while_nobody_looked_does_not_say_when():
    leases = Leases()
    leases.look([WorldRecord("w", executor=True, lease=1)], 0.0)
    leases.look([WorldRecord("w", executor=True, lease=2)], 5.0)

    told = leases.look([WorldRecord("w", executor=True, lease=3)], 3600.0)
    later = leases.look([WorldRecord("w", executor=True, lease=3)], 3609.0)
    silent = leases.look([WorldRecord("w", executor=True, lease=3)], 3611.0)

    assert (told, later, silent) == ({"w": None}, {"w": None}, {"w": 11.0})


def test_a_world_record_may_say_anything():
    record = WorldRecord(
        "w",
        executor=True,
        meta={"process": "?", "api_token": "t0p", "note": {"password": "x"}, "long": "y" * 999},
    )

    card = world_card(record, "other", 700.0)

    assert card.process == "–"
    assert card.last_seen == "silent for 11 min 40 s"
    assert "t0p" not in str(card)
    assert "'x'" not in str(card)
    assert max(len(value) for _, value in card.meta) <= 201


class Queue(NamedTuple):
    name: str = "default"
    size: int = 2
    free: int = 1
    waiting: int = 3
    restarts: int = 4
    deaths: Any = None


class Worker(NamedTuple):
    id: str = "w1"
    pid: int = 7
    queue: str = "default"
    state: str = "busy"
    plan_id: str = PLAN
    step_id: int | None = None
    action_class: str | None = "shop.Unpack"
    errand: str | None = "hook"
    since: datetime = NOW - timedelta(seconds=5)
    resident: int | None = None
    age_s: float = 60.0
    steps_done: int = 8


def test_a_report_of_workers_is_shown_in_words():
    report = SimpleNamespace(
        at=NOW, started_at=NOW, running_plans=1, queues=[Queue(deaths={"signal(9)": 2})], workers=[Worker()]
    )

    shown = world_card(WorldRecord("w", executor=True), "w", None, report).report

    assert shown.queues[0].deaths == "2 × signal(9)"
    assert (shown.workers[0].action, shown.workers[0].for_s) == ("hook Unpack", 5.0)


def test_locks_say_who_holds_what_for_whom():
    run, single = lock_lines(
        [ExecutionLock(PLAN, "w1", "c1", "c1-1", 1), SingletonActionLock("shop.Only", PLAN)], ["c1"]
    )

    assert (run.plan_id, run.world_id, run.client_id, run.gone) == (PLAN, "w1", "c1", True)
    assert (single.about, single.owner_plan_id, single.gone) == ("shop.Only", PLAN, False)
