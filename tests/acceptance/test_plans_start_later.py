"""Plans that start later: at their time, after others, planned by workers, whoever dies meanwhile."""

import os
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest
from later_actions import Held, KillsItsPlanner, NeverPlanned, Noop, PlannedSlowly, Refuses, Tells
from watching import lines_of, wait_until

from dynflow_mp import (
    Action,
    BadArgument,
    DataError,
    NotCancellable,
    NotExecutable,
    NotScheduled,
    PlanningError,
    PlanNotFound,
    PrerequisiteFailed,
    StartedTooLate,
    WorkerLost,
)

APPS = ["later_actions"]
UNKNOWN = "0193f0c5-0000-7000-8000-00000000dead"


def soon(seconds):
    return datetime.now(UTC) + timedelta(seconds=seconds)


def ended(world, scheduled, seconds=20):
    """The plan, once it has stopped or paused."""

    def look():
        plan = world.persistence.load_execution_plan(scheduled.id)
        return plan if plan.state in ("stopped", "paused") else None

    return wait_until(look, seconds, f"the end of plan {scheduled.id}")


def names(plan):
    return [entry.name for entry in plan.execution_history]


def leader(world):
    locks = world.coordinator.find_locks(class_name="DelayedExecutorLock")
    return locks[0].world_id if locks else None


# -- at its time -------------------------------------------------------------------------------------


def test_a_delayed_plan_is_planned_and_run_by_workers_at_its_time(world, tmp_path):
    """B260, B264, B231: delay here, plan and run in workers; three lines of history."""
    log, begun = tmp_path / "log", time.monotonic()

    scheduled = world.delay(Tells, str(log), start_at=soon(0.6), what="this")
    assert scheduled.scheduled
    assert not scheduled.planned
    waiting = world.persistence.load_execution_plan(scheduled.id)
    assert (waiting.state, waiting.progress, len(waiting.steps)) == ("scheduled", 0.0, 1)
    assert not log.exists()
    plan = ended(world, scheduled)

    assert time.monotonic() - begun > 0.5
    assert (plan.state, plan.result) == ("stopped", "success")
    assert names(plan) == ["delay", "start execution", "finish execution"]
    seen = plan.entry_action.output["seen"]
    assert (seen["what"], seen["delayed_in"]) == ("this", os.getpid())
    done_in = {int(line.split()[1]) for line in lines_of(log)}
    assert done_in <= set(world.worker_pids.values())
    assert world.persistence.count_execution_plans({"delayed": True}) == 0


def test_a_plan_whose_time_has_passed_starts_at_once(world, tmp_path):
    plan = ended(world, world.delay(Tells, str(tmp_path / "log"), start_at=soon(-3600)), seconds=5)

    assert plan.result == "success"


def test_a_plan_is_made_elsewhere_at_once(world, tmp_path):
    begun = time.monotonic()

    plan = ended(world, world.plan_elsewhere(Tells, str(tmp_path / "log")))

    assert plan.result == "success"
    assert time.monotonic() - begun < 5
    assert f"planned {os.getpid()}" not in lines_of(tmp_path / "log")


def test_a_frozen_plan_waits_until_it_is_let_go_and_may_then_be_too_late(world, tmp_path):
    log = str(tmp_path / "log")
    first = world.delay(Tells, log, frozen=True)
    kept = world.persistence.load_delayed_plan(first.id)
    assert (kept.frozen, kept.start_at, kept.args, kept.kwargs) == (True, None, [log], {})
    second = world.delay(Tells, log, start_before=soon(0.3), frozen=True)
    time_has_passed = ended(world, world.delay(Noop, start_at=soon(0.5)))
    assert time_has_passed.result == "success"
    assert not (tmp_path / "log").exists()

    world.set_delayed_plan_frozen(first.id, False)
    world.set_delayed_plan_frozen(second.id, False)

    assert ended(world, first).result == "success"
    late = ended(world, second)
    assert (late.result, names(late)) == ("error", ["delay", "timeout"])
    (error,) = late.errors
    assert isinstance(error.exception, StartedTooLate)
    assert "could not be started before set time" in error.message


def test_a_plan_that_cannot_be_planned_is_stopped_with_its_error(world):
    plan = ended(world, world.delay(Refuses))

    assert (plan.state, plan.result) == ("stopped", "error")
    assert [error.message for error in plan.errors] == ["not today"]


# -- after others ------------------------------------------------------------------------------------


def test_a_chained_plan_starts_as_soon_as_the_last_it_comes_after_has_stopped(world, tmp_path):
    log, go = tmp_path / "log", tmp_path / "go"
    held = world.trigger(Held, log=str(tmp_path / "held"), until=str(go))
    other = world.trigger(Noop)
    scheduled = world.chain([held.id, other.id], Tells, str(log))
    other.finished.result(20)
    wait_until(lambda: lines_of(tmp_path / "held"), what="the first plan's beginning")
    assert world.persistence.load_execution_plan(scheduled.id).state == "scheduled"

    go.touch()
    held.finished.result(20)
    stopped_at = time.monotonic()
    plan = ended(world, scheduled)

    assert plan.result == "success"
    assert time.monotonic() - stopped_at < 5, "told, not polled"


def test_a_failed_plan_stops_all_that_come_after_it(world):
    """B278."""
    fine = world.trigger(Noop)
    fine.finished.result(20)
    failing = world.delay(Refuses, start_at=soon(0.2))
    second = world.chain([fine.id, failing.id], Noop)
    third = world.chain(second.id, Noop)

    plans = [ended(world, scheduled) for scheduled in (second, third)]

    assert [plan.result for plan in plans] == ["error", "error"]
    assert [names(plan) for plan in plans] == [["delay", "failed-dependency"]] * 2
    (error,) = plans[0].errors
    assert isinstance(error.exception, PrerequisiteFailed)
    assert failing.id in error.message
    assert fine.id not in error.message
    assert second.id in plans[1].errors[0].message


# -- what cannot be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ({"start_at": datetime(2030, 1, 1)}, "no time zone"),
        ({"start_before": datetime(2030, 1, 1)}, "no time zone"),
        ({"start_at": 5}, "must be a datetime"),
        ({"start_at": "tomorrow"}, "must be a datetime"),
        ({"frozen": "yes"}, "must be true or false"),
        (
            {"start_at": datetime(2031, 1, 1, tzinfo=UTC), "start_before": datetime(2030, 1, 1, tzinfo=UTC)},
            "could never start",
        ),
    ],
)
def test_times_that_cannot_be_are_refused(world, times, says):
    before = world.persistence.count_execution_plans()

    with pytest.raises(BadArgument, match=says):
        world.delay(Noop, **times)

    assert world.persistence.count_execution_plans() == before


def test_what_cannot_be_scheduled_is_refused_and_nothing_is_stored(world):
    before = world.persistence.count_execution_plans()

    with pytest.raises(DataError, match=r"args\[0\]\['file'\]"):
        world.delay(Noop, {"file": object()})
    with pytest.raises(PlanningError):
        world.delay(Action)
    with pytest.raises(PlanNotFound, match=UNKNOWN):
        world.chain(UNKNOWN, Noop)
    with pytest.raises(PlanNotFound, match="is a UUID"):
        world.chain(["no plan"], Noop)
    with pytest.raises(BadArgument):
        world.chain(7, Noop)
    with pytest.raises(BadArgument, match="chain needs a plan to come after"):
        world.chain([], Noop)

    assert world.persistence.count_execution_plans() == before


def test_only_a_plan_that_waits_can_be_frozen_and_it_cannot_be_executed_by_hand(world):
    done = world.trigger(Noop)
    done.finished.result(20)
    waiting = world.delay(Noop, frozen=True)

    with pytest.raises(NotScheduled):
        world.set_delayed_plan_frozen(done.id, True)
    with pytest.raises(BadArgument):
        world.set_delayed_plan_frozen(waiting.id, 1)
    with pytest.raises(NotExecutable):
        world.execute(waiting.id).result(20)

    assert world.persistence.load_execution_plan(waiting.id).state == "scheduled"


def test_a_scheduled_plan_is_cancelled_and_what_comes_after_it_fails(world):
    waiting = world.delay(Noop, frozen=True)
    after = world.chain(waiting.id, Noop)
    assert world.persistence.load_execution_plan(waiting.id).cancellable

    assert world.cancel(waiting.id).result(20) == [1]

    plan = ended(world, waiting)
    assert (plan.result, plan.root_plan_step.state) == ("cancelled", "cancelled")
    assert names(plan) == ["delay", "Delayed task cancelled"]
    assert waiting.id in ended(world, after).errors[0].message
    with pytest.raises(NotCancellable):
        world.cancel(waiting.id).result(20)


def test_a_plan_cancelled_while_it_is_planned_is_not_run(world, tmp_path):
    log, go = tmp_path / "log", tmp_path / "go"
    scheduled = world.plan_elsewhere(PlannedSlowly, str(log), str(go))
    wait_until(lambda: lines_of(log), what="the planning")

    world.cancel(scheduled.id).result(20)
    go.touch()

    wait_until(
        lambda: not world.coordinator.find_locks(class_name="PlanningLock"), what="the end of the planning"
    )
    plan = world.persistence.load_execution_plan(scheduled.id)
    assert (plan.state, plan.result, len(plan.steps)) == ("stopped", "cancelled", 1)


def test_a_plan_halted_while_it_waits_is_stopped_as_it_is(world):
    scheduled = world.delay(Noop, frozen=True)

    plan = world.halt(scheduled.id).result(20)

    assert (plan.state, plan.result, plan.root_plan_step.state) == ("stopped", "pending", "pending")
    assert world.persistence.count_execution_plans({"delayed": True, "id": plan.id}) == 0


# -- whoever dies --------------------------------------------------------------------------------------


def test_a_plan_whose_planner_dies_is_planned_again(world, tmp_path):
    log = tmp_path / "log"

    plan = ended(world, world.plan_elsewhere(KillsItsPlanner, str(log), times=2))

    assert plan.result == "success"
    assert len(set(lines_of(log))) == 3


def test_a_plan_that_kills_each_of_its_planners_stops_with_an_error(world, tmp_path):
    log = tmp_path / "log"

    plan = ended(world, world.plan_elsewhere(KillsItsPlanner, str(log), times=9))

    assert (plan.state, plan.result) == ("stopped", "error")
    (error,) = plan.errors
    assert isinstance(error.exception, WorkerLost)
    assert "SIGKILL" in error.message
    assert len(set(lines_of(log))) == 3
    assert world.coordinator.find_locks(class_name="PlanningLock") == []


@pytest.mark.parametrize("deaf", [False, True])
def test_a_plan_that_is_never_done_planning_stops_with_an_error_and_leaves_the_worker(
    a_client, tmp_path, deaf
):
    log = tmp_path / "log"
    world = a_client(workers=1, apps=APPS, errand_timeout_s=0.5)

    plan = ended(world, world.plan_elsewhere(NeverPlanned, str(log), deaf))

    assert (plan.state, plan.result) == ("stopped", "error")
    (error,) = plan.errors
    assert error.cause == "timeout"
    assert "took longer than 0.5 s (errand_timeout_s)" in error.message
    assert len(lines_of(log)) == 1
    assert ended(world, world.delay(Noop)).result == "success"


@pytest.fixture
def quick_to_look(monkeypatch):
    for name in ("reconcile_interval_s", "lease_renewal_s", "delayed_poll_s"):
        monkeypatch.setenv(f"DYNFLOW_{name.upper()}", "0.3")


@pytest.mark.every_database
def test_when_the_leader_is_killed_another_plans_what_it_was_planning(
    quick_to_look, start_supervisor, a_client, tmp_path
):
    """W20."""
    first = start_supervisor(app="later_actions")
    client = a_client()
    wait_until(lambda: leader(client) == first.world_id, what="a leader")
    second = start_supervisor(app="later_actions")
    log, go = tmp_path / "log", tmp_path / "go"
    scheduled = client.delay(PlannedSlowly, str(log), str(go))
    later = client.delay(Tells, str(tmp_path / "later"), start_at=soon(1.0))
    wait_until(lambda: lines_of(log), what="the planning")
    assert client.persistence.load_execution_plan(scheduled.id).state == "planning"

    first.signal(signal.SIGKILL)
    first.wait()
    wait_until(lambda: len(lines_of(log)) == 2, what="the planning by another")
    assert leader(client) == second.world_id
    go.touch()

    plans = [ended(client, one) for one in (scheduled, later)]
    assert [plan.result for plan in plans] == ["success", "success"]
    assert names(plans[0]) == ["delay", "start execution", "finish execution"]
    assert client.coordinator.find_locks(class_name="PlanningLock") == []


def test_what_a_leader_that_drains_was_planning_waits_for_the_next(
    monkeypatch, quick_to_look, start_supervisor, a_client, tmp_path
):
    monkeypatch.setenv("DYNFLOW_DRAIN_GRACE_S", "0.5")
    first = start_supervisor(app="later_actions")
    client = a_client()
    log, go = tmp_path / "log", tmp_path / "go"
    wait_until(lambda: leader(client) == first.world_id, what="a leader")
    scheduled = client.delay(PlannedSlowly, str(log), str(go))
    wait_until(lambda: lines_of(log), what="the planning")

    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    assert client.persistence.load_execution_plan(scheduled.id).state == "scheduled"

    go.touch()
    start_supervisor(app="later_actions")
    assert ended(client, scheduled).result == "success"


def test_a_client_tells_the_leader_so_that_nothing_waits_for_the_next_poll(
    start_supervisor, a_client, tmp_path
):
    supervisor = start_supervisor(app="later_actions")
    client = a_client()
    wait_until(lambda: leader(client) == supervisor.world_id, what="a leader")
    begun = time.monotonic()

    plan = ended(client, client.plan_elsewhere(Tells, str(tmp_path / "log")))

    assert plan.result == "success"
    assert time.monotonic() - begun < 10, "the next poll would have come after 15 s"


# -- long ago ------------------------------------------------------------------------------------------


def test_plans_that_ended_long_ago_are_deleted_where_that_is_asked_for(a_client):
    """B345: off by default."""
    keeper = a_client(workers=1, apps=APPS)
    plan = keeper.trigger(Noop).finished.result(20)
    paused = keeper.plan(Noop)

    cleaner = a_client(workers=1, apps=APPS, cleaner_max_age_s=0.2, cleaner_interval_s=0.2)

    wait_until(
        lambda: cleaner.persistence.count_execution_plans({"id": plan.id}) == 0, what="the plan's deletion"
    )
    assert cleaner.persistence.count_execution_plans({"id": paused.id}) == 1
    holders = keeper.coordinator.find_locks(class_name="ExecutionPlanCleanerLock")
    assert [lock.world_id for lock in holders] == [cleaner.id]
