"""What becomes of plans when workers and executors die: core B350, B354, B355, through the real recovery."""

from __future__ import annotations

import pytest
from looking import attempts, history, locks, states
from sqlalchemy import select, update
from telling_actions import InSequence, SideBySide, Tells, Told, Waits, WakesItself

from dynflow_mp import RequestError, UnprocessableEvent, WorldTerminated
from dynflow_mp.model.codec import encode
from dynflow_mp.persistence.tables import posted_events, steps
from dynflow_mp.testing import InThreadWorld

THREE = [{"name": "a"}, {"name": "b"}, {"name": "c"}]


@pytest.mark.parametrize("ran", [False, True])
def test_a_worker_that_dies_is_the_error_of_the_step_it_ran(world, ran):
    world.lose_worker(at=Told, ran=ran)

    plan = world.run(InSequence, THREE)

    assert (plan.state, plan.result) == ("paused", "error")
    assert [step.state for step in plan.run_steps] == ["error", "pending", "pending"]
    (error,) = plan.errors
    assert error.exception_class.endswith("WorkerLost")
    assert error.cause == "signal(9)"
    assert world.execute(plan.id).result().result == "success"


def test_a_worker_may_die_of_many_causes_and_often(world):
    world.lose_worker(at=Told, times=7, cause="out_of_memory")
    plan = world.run(SideBySide, [{"name": str(number)} for number in range(10)])

    assert [error.cause for error in plan.errors] == ["out_of_memory"] * 7
    assert [step.state for step in plan.run_steps] == ["error"] * 7 + ["success"] * 3


def test_a_worker_that_dies_in_finalize_is_the_error_of_the_part_it_was_at(world):
    """What it had finished it had not said: finalize runs again from its beginning."""
    plan = world.plan(InSequence, THREE)
    second = plan.finalize_flow[1]
    world.lose_worker(at=second)

    plan = world.execute(plan.id).result()

    assert [step.state for step in plan.finalize_steps] == ["pending", "error", "pending"]
    assert world.execute(plan.id).result().result == "success"


def test_b354_a_plan_between_its_steps_goes_on_in_another_executor(world):
    """Under the client's own request: its future ends as if nothing had happened."""
    first = world.executor_id
    triggered = world.trigger(Waits)

    world.kill_executor()
    assert not triggered.finished.done()
    assert world.executor_id != first
    assert world.event(triggered.id, 2, "finish").result()

    plan = triggered.finished.result()
    assert (plan.state, plan.result) == ("stopped", "success")
    assert history(plan) == ["start execution", "terminate execution", "start execution", "finish execution"]
    assert [entry.world_id for entry in plan.execution_history] == [first, first] + [world.executor_id] * 2


@pytest.mark.parametrize("ran", [False, True])
def test_a_step_that_was_running_when_its_executor_died_is_an_error(world, ran):
    """Whether it took effect nobody knows."""
    plan = world.plan(InSequence, THREE)
    world.kill_executor(at=plan.run_flow[1], ran=ran)

    plan = world.execute(plan.id).result()

    assert (plan.state, plan.result) == ("paused", "error")
    assert [step.state for step in plan.run_steps] == ["success", "error", "pending"]
    assert plan.errors[0].cause == "supervisor_lost"
    assert plan.errors[0].message == "abnormal termination (previous state: running)"
    assert locks(world) == 0

    plan = world.execute(plan.id).result()
    assert plan.result == "success"
    assert attempts(plan, plan.run_flow.step_ids) == [1, 2, 1]


def test_g8_an_event_is_taken_once_though_its_executor_died_before_it_could_say_so(world):
    """Its client asks again, under the same id: of the successor, then of a plan that has ended."""
    triggered = world.trigger(Waits)
    send = world._parts.client.event
    assert send(triggered.id, 2, encode("once", "event"), event_id="client-1").result()
    world.kill_executor()

    assert send(triggered.id, 2, encode("once", "event"), event_id="client-1").result()
    assert states(world.persistence.load_execution_plan(triggered.id), [2]) == ["suspended"]
    assert send(triggered.id, 2, encode("finish", "event"), event_id="client-2").result()
    world.kill_executor()

    assert send(triggered.id, 2, encode("finish", "event"), event_id="client-2").result()
    plan = triggered.finished.result()
    assert (plan.result, plan.actions[0].output["heard"]) == ("success", ["once", "finish"])
    with pytest.raises(UnprocessableEvent):
        send(triggered.id, 2, encode("finish", "event"), event_id="client-3").result()


@pytest.mark.parametrize("left", [True, False])
def test_g8_an_event_for_another_plan_survives_the_executor_that_was_to_send_it(world, left):
    """Killed between the commit of the outcome that asked for it and the message, or after the message."""
    waiting = world.trigger(Waits)
    if not left:
        world._parts.event_post.post = lambda order: None
    world.run(Tells, waiting.id, 2, "finish")
    assert waiting.finished.done() is left

    world.kill_executor()

    plan = waiting.finished.result()
    assert (plan.result, plan.actions[0].output["heard"]) == ("success", ["finish"])
    with world.persistence._store.database.read() as connection:
        assert connection.execute(select(posted_events)).all() == []


def test_a_timer_survives_its_executor(slow_world):
    """Being resumed, ``run`` is not called without an event: the one that is stored is waited for."""
    triggered = slow_world.trigger(WakesItself, delay_s=60)
    slow_world.clock.advance(20)

    slow_world.kill_executor()
    assert [ping.due_s for ping in slow_world.clock.pending_pings] == [60]
    slow_world.clock.progress()

    plan = triggered.finished.result()
    assert (plan.result, plan.real_time) == ("success", 60)


def test_an_executor_that_dies_again_and_again_finishes_all_the_same(world):
    plan = world.plan(InSequence, THREE)
    world.kill_executor(at=Told, times=4)

    for _ in range(4):
        assert world.execute(plan.id).result().state == "paused"
    assert world.execute(plan.id).result().result == "success"


def test_b350_b355_a_suspended_plan_nobody_takes_over_is_paused_and_pending(tmp_path):
    url = f"sqlite:///{tmp_path}/plans.db"
    with InThreadWorld(database_url=url) as world:
        triggered = world.trigger(Waits)
    with pytest.raises(WorldTerminated):
        triggered.finished.result()

    with InThreadWorld(database_url=url) as other:
        paused = other.persistence.load_execution_plan(triggered.id)
        assert (paused.state, paused.result) == ("paused", "pending")
        assert history(paused) == ["start execution", "terminate execution"]
        assert states(paused, [2]) == ["suspended"]
        finished = other.execute(triggered.id)
        other.event(triggered.id, 2, "finish")
        assert finished.result().result == "success"


def test_g2_a_plan_whose_rows_make_no_sense_is_given_up_and_all_others_go_on(world):
    """It would end the executor, and then whoever takes its plans over, and so on."""
    good, bad = world.plan(InSequence, THREE), world.plan(InSequence, THREE)
    last = bad.finalize_flow[0]
    store = world._parts.store
    with store.database.write() as connection:
        connection.execute(
            update(steps)
            .where(steps.c.execution_plan_id == bad.id, steps.c.id == last)
            .values(state="cancelled")
        )

    futures = [world.execute(bad.id), world.execute(good.id)]

    with pytest.raises(RequestError, match=f"plan {bad.id} cannot be gone on with: finalize step"):
        futures[0].result()
    assert futures[1].result().result == "success"
    assert world.persistence.load_execution_plan(bad.id).state == "paused"
    assert locks(world) == 0
    assert store.plan_statuses([bad.id])[bad.id].owner_id is None
