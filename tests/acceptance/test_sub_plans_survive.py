"""Executors that are killed between sub-plans: none is lost, none is made twice, and their caller ends all the same."""

from collections import Counter

import pytest
from sub_plan_actions import BulkParent, FireAndForget, Parent
from watching import kill, lines_of, wait_until

pytestmark = pytest.mark.usefixtures("quick_to_look")


@pytest.fixture
def supervisor(start_supervisor):
    def start(**keywords):
        return start_supervisor(app="sub_plan_actions", **keywords)

    return start


def run_step(plan):
    (step,) = [step for step in plan.steps.values() if step.phase == "run"]
    return step


def mended(client, plan):
    """Resume what a kill has left in error, children first, until the caller has ended."""
    for _ in range(20):
        if plan.state == "stopped":
            return plan
        for child in plan.sub_plans():
            # One that is still asked for is taken over just now, and may stop before we ask: both in one look.
            status = client.persistence.find_statuses({"id": child.id})[child.id]
            if status.state == "paused" and status.requested_at is None:
                client.execute(child.id).result(30)
        plan = client.execute(plan.id).result(60)
    return pytest.fail(f"{plan} did not end")


@pytest.mark.every_database
def test_children_of_killed_executors_are_made_once_and_all_run(supervisor, a_client, tmp_path):
    count, log = 60, tmp_path / "log"
    client = a_client()
    running = supervisor()
    triggered = client.trigger(BulkParent, count, size=10, log=str(log), takes_s=0.01)

    def enough(lines):
        """The caller may have been cut off itself; when that shows is not for us to say."""
        status = client.persistence.find_statuses({"id": triggered.id})[triggered.id]
        if status.state == "paused" and status.requested_at is None:
            client.execute(triggered.id)
        return len(lines_of(log)) >= lines

    for lines in (5, 25, 45):
        wait_until(lambda lines=lines: enough(lines), what=f"{lines} lines")
        kill(running)
        running = supervisor()
    plan = mended(client, wait_for_end(client, triggered.id))

    assert plan.result == "success"
    children = plan.sub_plans()
    assert {(child.state, child.result) for child in children} == {("stopped", "success")}
    assert sorted(child.entry_action.input["number"] for child in children) == list(range(count))
    begun = Counter(line for line in lines_of(log) if line.startswith("begin"))
    attempts = {f"begin {child.entry_action.input['number']}": run_step(child).attempts for child in children}
    assert {line: number for line, number in begun.items() if number > attempts[line]} == {}
    assert set(begun) == set(attempts)


def wait_for_end(client, plan_id):
    """The plan, once nobody runs it any more."""

    def looked():
        plan = client.persistence.load_execution_plan(plan_id)
        return plan if plan.state in ("paused", "stopped") and not requested(client, plan_id) else None

    return wait_until(looked, seconds=60, what="the end of the caller")


def requested(client, plan_id):
    return client.persistence.find_statuses({"id": plan_id})[plan_id].requested_at is not None


def test_a_caller_that_waits_goes_on_in_another_executor(supervisor, a_client):
    """Hints and timers of the executor that died are gone: the counts are in the store."""
    client = a_client()
    first = supervisor()
    triggered = client.trigger(Parent, 3, kind="Waiter")

    def children(state):
        found = client.persistence.load_execution_plan(triggered.id).sub_plans()
        return found if [run_step(child).state for child in found] == [state] * 3 else None

    found = wait_until(lambda: children("suspended"), what="the suspension of the children")
    kill(first)
    supervisor()
    wait_until(
        lambda: all(
            lock is not None and lock.world_id != first.world_id
            for lock in map(client.coordinator.execution_lock, [triggered.id, *(c.id for c in found)])
        ),
        what="the takeover of all plans",
    )
    wait_until(lambda: children("suspended"), what="the suspension of the children")

    for child in found:
        assert client.event(child.id, run_step(child).id, "go").result(10)

    plan = triggered.finished.result(10)
    assert (plan.state, plan.result) == ("stopped", "success")
    assert plan.entry_action.output["success_count"] == 3


def test_children_that_were_stored_and_not_started_are_run_by_the_next_executor(
    supervisor, a_client, tmp_path
):
    """Nobody waits for them, and who triggered them has ended."""
    client, log = a_client(), tmp_path / "log"
    first = supervisor(workers=1)
    plan = client.trigger(FireAndForget, given={"log": str(log), "takes_s": 0.3}).finished.result(20)
    wait_until(lambda: lines_of(log), what="the first child's beginning")

    kill(first)
    supervisor(workers=1)

    found = [wait_for_end(client, child.id) for child in plan.sub_plans()]

    assert sorted(child.state for child in found) in (["paused", "stopped"], ["stopped", "stopped"])
    assert len(found) == 2


def test_a_limit_outlives_executors(supervisor, a_client, tmp_path):
    """What is held back is held back in the store."""
    log, client = tmp_path / "log", a_client()
    first = supervisor()
    triggered = client.trigger(Parent, 12, level=1, log=str(log), takes_s=0.05)
    wait_until(lambda: len(lines_of(log)) >= 5, what="some children")

    kill(first)
    supervisor()
    plan = mended(client, wait_for_end(client, triggered.id))

    assert plan.result == "success"
    assert plan.sub_plans_count == 12
    ends = [line for line in lines_of(log) if line.startswith("end")]
    assert set(ends) == {f"end {number}" for number in range(12)}
    at_once = most = 0
    for line in lines_of(log):
        at_once += 1 if line.startswith("begin") else -1
        most = max(most, at_once)
    assert most <= 2  # the one that was killed has no end


def test_executors_with_nothing_to_do_take_their_part(supervisor, a_client):
    """They find what waits by themselves; the caller is on one of them and hears of all."""
    one, other = supervisor(workers=1), supervisor(workers=1)
    client = a_client()

    plan = client.trigger(BulkParent, 80, size=80, takes_s=0.05).finished.result(60)

    assert plan.result == "success"
    took_part = {entry.world_id for child in plan.sub_plans() for entry in child.execution_history}
    assert took_part == {one.world_id, other.world_id}
