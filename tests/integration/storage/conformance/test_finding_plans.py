"""Finding, counting and deleting plans: filters, orders, pages (B300-B317 and the worlds' items 115-120)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import pytest
from sqlalchemy import text
from stored_plans import NOW, a_plan, claim, mark, outcome, plan_id

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.errors import PersistenceError, QueryError, WorldFenced
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.persistence.backup import read_back
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.store import Store

PLAN_1, PLAN_2, PLAN_3 = plan_id(1), plan_id(2), plan_id(3)


@pytest.fixture
def three(store: Store) -> Store:
    """Two paused plans and, between them, a stopped one that the first one caused."""
    for id_, state, started_at in (
        (PLAN_1, PlanState.PAUSED, NOW),
        (PLAN_2, PlanState.STOPPED, NOW + 1_000_000),
        (PLAN_3, PlanState.PAUSED, None),
    ):
        plan = a_plan(id_, run_steps=1, state=state, started_at=started_at, label=f"label {id_[-1]}")
        if id_ == PLAN_2:
            plan = plan._replace(
                caller_plan_id=PLAN_1, caller_action_id=2, result=Result.SUCCESS, ended_at=NOW + 9_000_000
            )
        store.save_plan(plan)
    return store


def found(store: Store, *args: object, **kwargs: object) -> list[str]:
    return [row.id for row in store.find_execution_plans(*args, **kwargs)]  # type: ignore[arg-type]


# -- pages and orders --------------------------------------------------------------------------------


def test_pages_follow_each_other(three: Store):
    """B300."""
    pages = [found(three, order_by="label", page=page, per_page=1) for page in range(4)]

    assert pages == [[PLAN_1], [PLAN_2], [PLAN_3], []]


def test_plans_are_ordered_by_state_and_among_equals_by_id(three: Store):
    """B301, item 115."""
    assert found(three, order_by="state") == [PLAN_1, PLAN_3, PLAN_2]
    assert found(three, order_by="state", desc=True) == [PLAN_2, PLAN_3, PLAN_1]


def test_the_usual_order_is_by_start(three: Store):
    assert found(three, {"started_at": [NOW, NOW + 1_000_000]}) == [PLAN_1, PLAN_2]
    assert found(three) == [PLAN_3, PLAN_1, PLAN_2]
    assert found(three, desc=True) == [PLAN_2, PLAN_1, PLAN_3]


def test_pages_of_equals_never_overlap(store: Store):
    for number in range(1, 24):
        store.save_plan(a_plan(plan_id(number), run_steps=0))

    pages = [found(store, order_by="state", page=page, per_page=5) for page in range(5)]

    assert list(chain.from_iterable(pages)) == [plan_id(number) for number in range(1, 24)]


def test_per_page_alone_is_ignored(three: Store):
    assert len(found(three, per_page=1)) == 3


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"page": 0}, "page needs per_page"),
        ({"page": -1, "per_page": 5}, "page=-1 must be a whole number from 0"),
        ({"page": 0, "per_page": 0}, "per_page=0 must be"),
        ({"page": "1", "per_page": 5}, "page='1' must be"),
        ({"order_by": "id; DROP TABLE x"}, "cannot be ordered by 'id; DROP TABLE x'; by label, state"),
        ({"filters": ["state"]}, "filters must be a mapping"),
        ({"filters": {"colour": 1}}, "cannot be filtered by colour; by label, state"),
        ({"filters": {"caller_action_id": 1}}, "only together with caller_execution_plan_id"),
        ({"filters": {"state": object()}}, "state: a object cannot be compared"),
        ({"filters": {"state": True}}, "state: a bool cannot be compared"),
        ({"filters": {"state": datetime(2024, 1, 1, tzinfo=UTC)}}, "state is no time"),
        ({"filters": {"started_at": datetime(2024, 1, 1)}}, "has no time zone"),
    ],
)
def test_what_cannot_be_asked_is_refused(three: Store, asked: dict[str, object], reason: str):
    with pytest.raises(QueryError) as refused:
        found(three, **asked)

    assert reason in str(refused.value)


# -- filters -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["paused"], [PLAN_1, PLAN_3]),
        ("paused", [PLAN_1, PLAN_3]),
        (PlanState.PAUSED, [PLAN_1, PLAN_3]),
        (("stopped",), [PLAN_2]),
        ([], []),
        ({PlanState.PAUSED, PlanState.STOPPED}, [PLAN_1, PLAN_2, PLAN_3]),
        ("'; DELETE FROM dynflow_execution_plans; --", []),
    ],
)
def test_plans_are_filtered_by_state(three: Store, states: object, expected: list[str]):
    """B302, item 116."""
    assert sorted(found(three, {"state": states})) == expected


def test_plans_are_filtered_by_label_and_several_columns_at_once(three: Store):
    """Item 117."""
    assert found(three, {"label": "label 3"}) == [PLAN_3]
    assert found(three, {"state": "paused", "label": ["label 2", "label 3"]}) == [PLAN_3]


def test_none_finds_what_has_no_value(three: Store):
    assert found(three, {"started_at": None}) == [PLAN_3]
    assert sorted(found(three, {"started_at": [None, NOW]})) == [PLAN_1, PLAN_3]


def test_times_are_given_as_datetimes_too(three: Store):
    moment = datetime.fromtimestamp(NOW / 1_000_000, UTC) + timedelta(seconds=1)

    assert found(three, {"started_at": moment}) == [PLAN_2]
    assert found(three, {"started_at": NOW + 1_000_000}) == [PLAN_2]


def test_plans_are_found_by_id_and_by_what_caused_them(three: Store):
    assert sorted(found(three, {"uuid": [PLAN_1, PLAN_3, plan_id(9)]})) == [PLAN_1, PLAN_3]
    assert found(three, {"id": PLAN_2}) == [PLAN_2]
    assert found(three, {"caller_execution_plan_id": PLAN_1}) == [PLAN_2]
    assert found(three, {"caller_execution_plan_id": PLAN_1, "caller_action_id": 2}) == [PLAN_2]
    assert found(three, {"caller_execution_plan_id": PLAN_1, "caller_action_id": 3}) == []


def test_statuses_honour_filters(three: Store):
    """B316."""
    statuses = three.find_statuses({"state": "stopped"})

    assert {id_: (status.state, status.result) for id_, status in statuses.items()} == {
        PLAN_2: ("stopped", "success")
    }
    assert len(three.find_statuses()) == 3


def test_counts_honour_filters(three: Store):
    """B317."""
    assert three.count_execution_plans() == 3
    assert three.count_execution_plans({"label": "label 1"}) == 1
    assert three.count_execution_plans({"state": ["paused", "stopped"]}) == 3
    assert three.count_execution_plans({"state": []}) == 0


def test_columns_hold_what_was_saved(three: Store, database: Database):
    """B312, item 123."""
    with database.read() as connection:
        row = connection.execute(
            text(
                "SELECT label, state, result, started_at, ended_at FROM dynflow_execution_plans WHERE id = :id"
            ),
            {"id": PLAN_2},
        ).one()

    assert tuple(row) == ("label 2", "stopped", "success", NOW + 1_000_000, NOW + 9_000_000)


# -- deleting ----------------------------------------------------------------------------------------


def test_a_plan_is_deleted_with_all_that_is_its(three: Store, database: Database):
    """B308, item 119."""
    deleted = three.delete_execution_plans({"uuid": PLAN_1})

    assert deleted == 1
    assert sorted(found(three)) == [PLAN_2, PLAN_3]
    assert three.load_steps(PLAN_1) == []
    assert three.load_actions(PLAN_1) == []
    assert len(three.load_steps(PLAN_2)) == 3
    assert len(three.load_actions(PLAN_2)) == 2


def test_plans_are_deleted_by_state(three: Store):
    """B309."""
    assert three.delete_execution_plans({"state": "paused"}) == 2
    assert found(three) == [PLAN_2]


def test_many_plans_are_deleted_in_batches(store: Store):
    for number in range(1, 13):
        store.save_plan(a_plan(plan_id(number), run_steps=1))

    assert store.delete_execution_plans({"state": "planned"}, batch_size=5) == 12
    assert store.delete_execution_plans({"state": "planned"}, batch_size=5) == 0


def test_events_and_attempts_go_with_their_plan(
    store: Store, database: Database, turn: Callable[..., frozenset[str]]
):
    store.save_plan(a_plan(PLAN_1))
    turn(claim(PLAN_1), mark(3))
    turn(outcome(3, state=StepState.ERROR, error=b"\x90"))

    store.delete_execution_plans({"uuid": PLAN_1})

    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM dynflow_step_attempts")).scalar_one() == 0


def test_the_rows_are_saved_before_they_are_deleted(three: Store, tmp_path: Path):
    """B318, item 120."""
    three.delete_execution_plans({"uuid": PLAN_1}, backup_dir=tmp_path / "backup")
    three.delete_execution_plans({"uuid": PLAN_2}, backup_dir=tmp_path / "backup")

    (day,) = (tmp_path / "backup").iterdir()
    plans, actions, steps = (
        list(read_back(day / f"{name}.jsonl")) for name in ("execution_plans", "actions", "steps")
    )
    assert day.name.isdigit()
    assert len(day.name) == 8
    assert [row["id"] for row in plans] == [PLAN_1, PLAN_2]
    assert [row["input"] for row in actions] == [{}, {"n": 0}] * 2
    assert [row["id"] for row in steps] == [1, 2, 3] * 2
    assert [row["history"] for row in plans] == [[[NOW, "start", None]]] * 2


def test_nothing_is_deleted_that_cannot_be_backed_up(three: Store, tmp_path: Path):
    (tmp_path / "backup").write_text("in the way")

    with pytest.raises(PersistenceError, match="cannot back up"):
        three.delete_execution_plans({"uuid": PLAN_1}, backup_dir=tmp_path / "backup")

    assert PLAN_1 in found(three)


def test_a_world_declared_dead_deletes_nothing(three: Store, coordinator: Coordinator):
    coordinator.set_world_state(coordinator.world_id, "dead")

    with pytest.raises(WorldFenced):
        three.delete_execution_plans({"uuid": PLAN_1}, fence=coordinator.fence)

    assert PLAN_1 in found(three)
