"""Plans that are deleted while somebody runs them: nothing of them is kept."""

import pytest
from engine_actions import Evented
from watching import wait_until

from dynflow_mp import PlanNotFound, World


def test_a_plan_that_is_deleted_while_it_waits_is_forgotten_and_its_lock_is_given_up(database_url):
    """Nothing touches it any more, so somebody has to look."""
    with World(
        database_url=database_url, workers=1, apps=["engine_actions"], reconcile_interval_s=0.2
    ) as world:
        waiting, staying = world.trigger(Evented), world.trigger(Evented)
        for plan in (waiting, staying):
            wait_until(
                lambda plan=plan: world.persistence.load_execution_plan(plan.id).steps[2].state == "suspended"
            )

        world.persistence.delete_execution_plans({"id": waiting.id})

        with pytest.raises(PlanNotFound):
            waiting.finished.result(60)
        wait_until(
            lambda: (
                [lock.plan_id for lock in world.coordinator.find_locks(class_name="ExecutionLock")]
                == [staying.id]
            ),
            60,
            "the end of its lock",
        )
        assert world.event(staying.id, 2, "finish").result(60)
        assert staying.finished.result(60).result == "success"
