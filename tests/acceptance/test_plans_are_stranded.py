"""Plans whose executor lives and has dropped them, since what became of them could not be stored, do not run for ever."""

import pytest
from engine_actions import Evented
from sqlalchemy import event, insert, text, update
from watching import wait_until

from dynflow_mp import RequestError, World
from dynflow_mp.persistence.tables import coordinator_records, execution_plans


@pytest.fixture
def world(database_url):
    with World(
        database_url=database_url, workers=1, apps=["engine_actions"], reconcile_interval_s=0.2
    ) as world:
        yield world


def standing(world, plan):
    status = world._parts.store.plan_statuses([plan.id])[plan.id]
    return status.state, status.result, status.owner_id


GIVEN_UP = ("paused", "error", None)


def suspended(world, plan):
    return world.persistence.load_execution_plan(plan.id).steps[2].state == "suspended"


def test_g2_a_plan_that_is_stored_as_running_where_it_does_not_is_left_paused_with_an_error(world):
    staying, stranded = world.trigger(Evented), world.plan(Evented)
    wait_until(lambda: suspended(world, staying))
    with world._parts.store.database.write() as connection:
        connection.execute(
            update(execution_plans)
            .where(execution_plans.c.id == stranded.id)
            .values(state="running", owner_id=world.id, lock_epoch=1, requested_at=1)
        )
        connection.execute(
            insert(coordinator_records).values(
                {
                    "class": "ExecutionLock",
                    "id": f"execution-plan:{stranded.id}",
                    "owner_id": f"world:{world.id}",
                    "epoch": 1,
                    "data": b"\x80",
                }
            )
        )

    wait_until(lambda: standing(world, stranded) == GIVEN_UP, 60)

    locks = world.coordinator.find_locks(class_name="ExecutionLock")
    assert [lock.plan_id for lock in locks] == [staying.id]
    assert world.event(staying.id, 2, "finish").result(60)
    assert staying.finished.result(60).result == "success"


def test_g2_a_plan_whose_outcome_the_database_refuses_does_not_run_for_ever(world):
    """Such as one that is larger than the server takes."""
    plan = world.trigger(Evented)
    wait_until(lambda: suspended(world, plan))
    engine = world._parts.store.database.engine
    broken = [True]

    def refuse(connection, cursor, statement, *_):
        if broken and statement.lstrip().startswith("UPDATE dynflow_steps"):
            cursor.execute(str(text("SELECT no_such_column")))

    event.listen(engine, "before_cursor_execute", refuse)
    try:
        world.event(plan.id, 2, "finish")
        with pytest.raises(RequestError, match="could not be written"):
            plan.finished.result(60)
    finally:
        broken.clear()

    wait_until(lambda: standing(world, plan) == GIVEN_UP, 60)
    assert world.coordinator.find_locks(class_name="ExecutionLock") == []
