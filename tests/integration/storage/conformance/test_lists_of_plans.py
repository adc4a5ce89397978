"""Lists of plans as people see them: pages with totals, filters, failures of one cause."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from stored_plans import NOW, PLAN, WORLD, a_plan, action_of, claim, end, mark, outcome, plan_id, run_step

from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.errors import QueryError
from dynflow_mp.model.certificates import Certificate
from dynflow_mp.model.plan_orders import ORDERS
from dynflow_mp.model.policies import DEFAULT_QUEUE
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.model.writes import RecordEvent
from dynflow_mp.persistence import failed_steps, plan_filters, plan_pages
from dynflow_mp.persistence.store import Store
from dynflow_mp.reading.library import Library
from dynflow_mp.reading.plan_query import PlanQuery
from dynflow_mp.reading.waiting import WaitKind

START = datetime.fromtimestamp(NOW / 1_000_000, UTC)
Turn = Callable[..., frozenset[str]]


@pytest.fixture
def library(store: Store) -> Library:
    return Library(store)


@pytest.fixture
def six(store: Store) -> None:
    """Plans 1 to 6: two stopped well, one stopped with a warning, two paused in error, one planned and not started."""
    fates = [
        (PlanState.STOPPED, Result.SUCCESS, "Order 100% of Ä"),
        (PlanState.STOPPED, Result.SUCCESS, "order_2"),
        (PlanState.STOPPED, Result.WARNING, "Order 2x"),
        (PlanState.PAUSED, Result.ERROR, "Refund"),
        (PlanState.PAUSED, Result.ERROR, "refund 5"),
        (PlanState.PLANNED, Result.PENDING, "Later"),
    ]
    for number, (state, result, label) in enumerate(fates, 1):
        plan = a_plan(
            plan_id(number),
            run_steps=2,
            state=state,
            result=result,
            label=label,
            started_at=None if number == 6 else NOW + number * 1_000_000,
            ended_at=NOW + 9_000_000 if state is PlanState.STOPPED else None,
        )
        if number in (4, 5):
            error = ErrorRecord("shop.Down", f"host db{number} søn't answer", ("File x",)).to_bytes()
            failed = plan.steps[2]._replace(state=StepState.ERROR, error=error, ended_at=NOW + number)
            plan = plan._replace(steps=[*plan.steps[:2], failed, *plan.steps[3:]])
        if number == 2:
            plan = plan._replace(caller_plan_id=plan_id(1), caller_action_id=2)
        store.save_plan(plan)


def numbers(library: Library, **asked: object) -> list[int]:
    page = library.page_of_plans(PlanQuery(**asked))  # type: ignore[arg-type]
    assert page.total == len(page.plans)
    return [int(line.id[-12:]) for line in page.plans]


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


ASKED: list[tuple[dict[str, object], list[int]]] = [
    ({}, [5, 4, 3, 2, 1, 6]),
    ({"desc": False}, [6, 1, 2, 3, 4, 5]),
    ({"states": (PlanState.PAUSED,)}, [5, 4]),
    ({"states": (PlanState.PAUSED, PlanState.PLANNED)}, [5, 4, 6]),
    ({"results": (Result.WARNING, Result.SUCCESS)}, [3, 2, 1]),
    ({"states": (PlanState.STOPPED,), "results": (Result.ERROR,)}, []),
    ({"label": "ORDER"}, [3, 2, 1]),
    ({"label": "100%"}, [1]),
    ({"label": "r_2"}, [2]),
    ({"label": "%"}, [1]),
    ({"label": "\\"}, []),
    ({"label": "'; DROP TABLE dynflow_steps"}, []),
    ({"label": "order", "results": (Result.WARNING,)}, [3]),
    ({"since": after(4)}, [5, 4]),
    ({"until": after(2)}, [1]),
    ({"since": after(2), "until": after(4)}, [3, 2]),
    ({"action": "Child"}, [5, 4, 3, 2, 1, 6]),
    ({"action": "shop.Root", "states": (PlanState.PAUSED,)}, [5, 4]),
    ({"action": "child"}, []),
    ({"action": "Chil"}, []),
    ({"action": "other.Child"}, []),
    ({"error": "db4"}, [4]),
    ({"error": "søn't answer"}, [5, 4]),
    ({"error": "DB4"}, []),
    ({"error": "File x"}, [5, 4]),
    ({"error": "db4", "states": (PlanState.STOPPED,)}, []),
    ({"error": "%"}, []),
    ({"caller": plan_id(1)}, [2]),
    ({"order_by": "created_at", "desc": False}, [1, 2, 3, 4, 5, 6]),
    ({"order_by": "state", "desc": False}, [4, 5, 6, 1, 2, 3]),
    ({"order_by": "result", "desc": True}, [3, 2, 1, 6, 5, 4]),
    ({"order_by": "created_at", "desc": True}, [6, 5, 4, 3, 2, 1]),
    ({"order_by": "ended_at", "desc": False}, [4, 5, 6, 1, 2, 3]),
]
"""What is asked, and which plans are found, in order."""


@pytest.mark.usefixtures("six")
def test_a_list_has_the_plans_that_were_asked_for(library: Library):
    there = [(asked, numbers(library, **asked)) for asked, _ in ASKED]

    assert there == ASKED


@pytest.mark.usefixtures("six")
def test_whatever_it_is_ordered_by_a_list_has_them_all(library: Library):
    assert [sorted(numbers(library, order_by=order)) for order in ORDERS] == [[1, 2, 3, 4, 5, 6]] * len(
        ORDERS
    )


@pytest.mark.usefixtures("six")
def test_pages_have_the_total_and_follow_each_other(library: Library):
    query = PlanQuery(per_page=4)

    pages = [library.page_of_plans(query.with_page(number)) for number in range(3)]

    assert [[int(line.id[-12:]) for line in page.plans] for page in pages] == [[5, 4, 3, 2], [1, 6], []]
    assert [(page.total, page.pages, page.cut) for page in pages] == [(6, 2, False)] * 3


@pytest.mark.usefixtures("six")
def test_labels_are_ordered_as_the_database_orders_texts(library: Library):
    upwards = numbers(library, order_by="label", desc=False)

    assert sorted(upwards) == [1, 2, 3, 4, 5, 6]
    assert numbers(library, order_by="label") == upwards[::-1]


@pytest.mark.usefixtures("six")
def test_few_that_were_searched_for_come_in_pages_as_well(library: Library, monkeypatch: pytest.MonkeyPatch):
    query = PlanQuery(label="order", per_page=2)

    few = [library.page_of_plans(query.with_page(number)) for number in range(2)]
    monkeypatch.setattr(plan_pages, "_FEW", 2)
    many = [library.page_of_plans(query.with_page(number)) for number in range(2)]

    assert [[line.id for line in page.plans] for page in few] == [[plan_id(3), plan_id(2)], [plan_id(1)]]
    assert few == many
    assert few[0].total == 3


@pytest.mark.usefixtures("six")
def test_it_is_said_when_errors_are_looked_for_in_the_newest_plans_only(
    library: Library, monkeypatch: pytest.MonkeyPatch
):
    query = PlanQuery(error="answer")
    whole = library.page_of_plans(query)

    monkeypatch.setattr(plan_filters, "MOST_SEARCHED", 1)
    monkeypatch.setattr(plan_pages, "MOST_SEARCHED", 1)
    cut = library.page_of_plans(query)
    older = library.page_of_plans(PlanQuery(error="answer", until=after(5), states=(PlanState.PAUSED,)))

    assert ([line.id for line in whole.plans], whole.cut) == ([plan_id(5), plan_id(4)], False)
    assert ([line.id for line in cut.plans], cut.cut) == ([plan_id(5)], True)
    assert ([line.id for line in older.plans], older.cut) == ([plan_id(4)], False)


def test_a_class_with_very_many_actions_is_looked_for_the_other_way(
    store: Store, library: Library, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dynflow_mp.persistence.action_classes._FREQUENT", 3)
    for number in (1, 2):
        store.save_plan(a_plan(plan_id(number)))

    assert numbers(library, action="Child") == [2, 1]
    assert numbers(library, action="Child", states=(PlanState.STOPPED,)) == []
    assert library.action_classes() == ["shop.Child", "shop.Root"]


@pytest.mark.usefixtures("coordinator")
def test_a_line_tells_how_far_its_plan_is(store: Store, library: Library, turn: Turn):
    started = now_us() - 3_000_000
    store.save_plan(a_plan(run_steps=4, caller_plan_id=plan_id(9), caller_action_id=7))
    fresh = library.page_of_plans(PlanQuery()).plans[0]

    turn(claim()._replace(started_at=started), *(mark(run_step(position)) for position in range(3)))
    turn(
        outcome(run_step(0)),
        outcome(run_step(1), state=StepState.SUSPENDED, progress_done=0.5),
        outcome(run_step(2), state=StepState.ERROR, error=b"\x90", progress_done=0.0),
    )
    (line,) = library.page_of_plans(PlanQuery()).plans

    assert (fresh.progress, fresh.duration_s, fresh.started_at, fresh.owner_id) == (0.0, None, None, None)
    assert line.progress == pytest.approx(1.5 / 4)
    assert (line.state, line.result, line.label, line.action_class) == (
        "running",
        "pending",
        "shop.Root",
        "shop.Root",
    )
    assert (line.owner_id, line.caller_execution_plan_id, line.step_count, line.valid) == (
        WORLD,
        plan_id(9),
        9,
        True,
    )
    assert line.duration_s is not None
    assert 3 <= line.duration_s < 60
    assert line.created_at is not None


@pytest.mark.usefixtures("coordinator")
def test_a_plan_that_is_over_needs_no_look_at_its_steps(store: Store, library: Library, turn: Turn):
    store.save_plan(a_plan(run_steps=1))
    turn(claim())
    turn(end())

    (line,) = library.page_of_plans(PlanQuery()).plans

    assert (line.progress, line.duration_s, line.result) == (1.0, 5.0, "success")


def test_the_largest_plans_of_a_page_do_without_progress(
    store: Store, library: Library, monkeypatch: pytest.MonkeyPatch
):
    for number, steps in ((1, 3), (2, 5), (3, 1)):
        store.save_plan(a_plan(plan_id(number), run_steps=steps, state=PlanState.PAUSED))
    monkeypatch.setattr(plan_pages, "MOST_STEPS", 12)

    page = library.page_of_plans(PlanQuery(order_by="created_at"))

    assert [line.progress for line in page.plans] == [0.0, None, 0.0]


def test_a_damaged_plan_is_in_the_list_and_not_valid(store: Store, library: Library):
    store.save_plan(a_plan(state=PlanState.PAUSED))
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE dynflow_execution_plans SET state = 'asleep'")
        connection.exec_driver_sql("DELETE FROM dynflow_steps")

    (line,) = library.page_of_plans(PlanQuery()).plans

    assert (line.state, line.valid, line.action_class, line.progress) == ("asleep", False, None, 1.0)


def test_the_same_filters_find_count_and_name_the_plans_elsewhere(store: Store, six: None):
    filters = PlanQuery(label="refund", error="db5", action="Child", since=after(1)).filters()

    assert store.count_execution_plans(filters) == 1
    assert [row.id for row in store.find_execution_plans(filters)] == [plan_id(5)]
    assert list(store.find_statuses(filters)) == [plan_id(5)]
    assert store.delete_execution_plans(filters) == 1


def test_what_a_step_printed_before_it_died_cannot_be_searched(library: Library, store: Store):
    """It may hold secrets, which are hidden only when it is shown; the rest of such an error is found."""
    died = Certificate("signal(9)", "its worker was killed", NOW, stack=("File x",), output="token hunter2")
    error = ErrorRecord("WorkerLost", "the worker died", ("File y",), "signal(9)", died).to_bytes()
    plan = a_plan(plan_id(1), run_steps=1, state=PlanState.PAUSED, result=Result.ERROR)
    failed = plan.steps[1]._replace(state=StepState.ERROR, error=error, ended_at=NOW)
    store.save_plan(plan._replace(steps=[plan.steps[0], failed, *plan.steps[2:]]))

    def found(text: str) -> int:
        return library.page_of_plans(PlanQuery(error=text)).total

    assert [found(text) for text in ("hunter", "token h", "File x")] == [0, 0, 0]
    assert [found(text) for text in ("worker died", "File y", "was killed", "signal(9)")] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "filters",
    [{"label_contains": 5}, {"started_since": 7}, {"error_contains": b"x"}, {"action_class": [None]}],
)
def test_filters_of_another_kind_are_refused_by_name(store: Store, filters: dict[str, object]):
    with pytest.raises(QueryError, match=next(iter(filters))) as refused:
        store.find_execution_plans(filters)

    assert refused.value.field == next(iter(filters))


# -- failures ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("six")
def test_failures_of_one_cause_are_one_group(library: Library):
    (group,) = library.failure_groups()

    assert (group.exception_class, group.message) == ("shop.Down", "host db<n> søn't answer")
    assert (group.plan_ids, group.plan_count, group.step_count) == ((plan_id(5), plan_id(4)), 2, 2)
    assert (group.example.plan_id, group.example.step_id) == (plan_id(5), run_step(0))
    assert group.example.action_id == action_of(run_step(0))
    assert library.plans_of_failure(group.key) == [plan_id(5), plan_id(4)]
    assert library.plans_of_failure("0" * 16) == []


@pytest.mark.usefixtures("six")
def test_failures_are_of_a_list_if_wanted_and_of_the_newest_plans(
    library: Library, monkeypatch: pytest.MonkeyPatch
):
    of_one = library.failure_groups(PlanQuery(label="refund 5"))
    monkeypatch.setattr(failed_steps, "MOST_PLANS", 1)
    newest = library.failure_groups()

    assert ([group.plan_count for group in of_one], of_one.cut) == ([1], False)
    assert ([group.plan_ids for group in newest], newest.cut) == ([(plan_id(5),)], True)


# -- why not -------------------------------------------------------------------------------------------


def test_what_a_running_plan_waits_for_is_read_from_everywhere(
    store: Store, library: Library, coordinator: Coordinator, turn: Turn
):
    coordinator.update_world(
        WorldRecord(WORLD, executor=True, meta={"queues": {DEFAULT_QUEUE: 1}, "free": {DEFAULT_QUEUE: 0}})
    )
    store.save_plan(a_plan(run_steps=4))
    store.save_plan(a_plan(plan_id(2), caller_plan_id=PLAN, caller_action_id=action_of(run_step(0))))
    turn(claim(), *(mark(run_step(position)) for position in range(3)))
    asleep = [outcome(run_step(position), state=StepState.SUSPENDED) for position in range(3)]
    due = now_us() + 60_000_000
    turn(*asleep, RecordEvent(PLAN, 1, run_step(1), "event-1", b"", None, due, NOW))

    found = library.why_waiting(PLAN, coordinator.find_worlds(), coordinator.find_locks())

    assert {wait.step_id: wait.kind for wait in found} == {
        None: WaitKind.SUB_PLANS,
        run_step(0): WaitKind.SUB_PLANS,
        run_step(1): WaitKind.DUE,
        run_step(2): WaitKind.EVENT,
        run_step(3): WaitKind.SLOT,
    }
    assert "1 of 1 sub-plans: 1 planned" in found[0].sentence
    assert all(wait.since is not None for wait in found)
