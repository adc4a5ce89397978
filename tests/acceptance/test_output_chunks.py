"""Output chunks: stored with what wrote them, streamed while it runs."""

import pytest
from around_actions import Chatty, Streams, TooLarge
from watching import run, wait_until

from dynflow_mp import WrongPhase
from dynflow_mp.reading.chunk import Chunk

APPS = ["around_actions"]
pytestmark = pytest.mark.every_database


def action_of(world, plan_id):
    return world.persistence.load_execution_plan(plan_id).entry_action


def chunks(world, plan_id):
    return [chunk.value for chunk in action_of(world, plan_id).output_chunks()]


def suspended(world, plan_id, attempts):
    def there():
        (step,) = world.persistence.load_execution_plan(plan_id).run_steps
        return step.id if step.state == "suspended" and step.attempts == attempts else None

    return wait_until(there)


def test_b381_chunks_are_stored_with_each_run_and_dropped_by_finalize(world):
    triggered = world.trigger(Chatty)
    step_id = suspended(world, triggered.id, 1)
    assert chunks(world, triggered.id) == [1]

    world.event(triggered.id, step_id, "again").result(20)
    suspended(world, triggered.id, 2)
    assert chunks(world, triggered.id) == [1, 2]

    world.event(triggered.id, step_id, "exit").result(20)
    assert triggered.finished.result(20).result == "success"
    assert chunks(world, triggered.id) == []


def test_chunks_stay_when_nobody_drops_them_and_go_with_the_plan(world):
    triggered = world.trigger(Chatty, drop=False)
    step_id = suspended(world, triggered.id, 1)
    world.event(triggered.id, step_id, "exit").result(20)
    triggered.finished.result(20)

    assert chunks(world, triggered.id) == [1]
    world.persistence.delete_execution_plans({"id": triggered.id})
    assert world._parts.store.load_output_chunks(triggered.id, 1) == []


def test_chunks_are_read_while_the_step_runs_each_once_and_in_order(world, tmp_path):
    end = tmp_path / "end"
    triggered = world.trigger(Streams, count=50, until=str(end))
    try:
        wait_until(lambda: len(chunks(world, triggered.id)) == 50, what="streaming")
        (step,) = world.persistence.load_execution_plan(triggered.id).run_steps
        assert step.state == "running"
    finally:
        end.touch()
    plan = triggered.finished.result(20)

    found = plan.entry_action.output_chunks()
    assert [chunk.value for chunk in found] == [*({"line": number} for number in range(50)), "done"]
    (last,) = plan.entry_action.output_chunks("stderr")
    assert (last, last.kind) == (Chunk("done", "stderr", last.time), "stderr")
    assert found[0].time <= last.time


def test_a_chunk_that_is_too_large_fails_the_step_and_is_not_stored(world):
    plan = run(world, TooLarge)

    assert "output chunk" in str(plan.errors[0])
    assert chunks(world, plan.id) == []


def test_chunks_are_read_only_where_plans_are_read(world):
    plan = run(world, TooLarge)

    with pytest.raises(WrongPhase, match="output_chunk"):
        plan.entry_action.output_chunk(1)
