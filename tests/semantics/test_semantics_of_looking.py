"""Plans looked at while they wait, and after: why not, how the flow stands, when what ran, what failed alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from telling_actions import Waits

from dynflow_mp import Action, Phase, Retry
from dynflow_mp.errors import PlanNotFound
from dynflow_mp.reading.flow_tree import flow_tree
from dynflow_mp.reading.plan_query import PlanQuery
from dynflow_mp.reading.timeline import timeline


class Unreachable(Action):
    """Fails each time, with another text."""

    def run(self):
        raise ConnectionError(
            f"host db{self.input['host']}.example is away after {self.input['host'] / 7:.3f} s"
        )


class TriedAgain(Action):
    """Fails, and is to be tried again in a minute."""

    retry = Retry(max_attempts=5, backoff_s=60, jitter=0)

    def run(self):
        raise ConnectionError("away")


class ThenMore(Action):
    """Something that waits, and something behind it."""

    def plan(self):
        with self.sequence():
            self.plan_action(Waits)
            self.plan_action(Unreachable, host=3)


def told(world, plan_id):
    """By step, kind and sentence of why it waits."""
    found = world.why_waiting(plan_id)
    assert all(wait.since is not None for wait in found)
    return {wait.step_id: (str(wait.kind), wait.sentence) for wait in found}


def test_a_step_that_waits_for_an_event_and_one_behind_it_say_so(world):
    plan = world.run(ThenMore)
    waiting, behind = plan.run_flow.step_ids

    found = told(world, plan.id)

    assert found[waiting] == ("event", "waits for an event")
    assert found[behind] == ("step", f"waits for step {waiting} (Waits), which is suspended")
    assert found[None] == ("event", f"runs none of its steps: step {waiting} waits for an event")
    assert list(found) == [None, waiting, behind]


def test_a_step_that_is_tried_again_says_when(slow_world):
    plan = slow_world.run(TriedAgain)

    found = told(slow_world, plan.id)

    kind, sentence = found[plan.run_steps[0].id]
    assert kind == "retry"
    assert sentence.endswith("UTC, for the 2nd time")


def test_a_paused_plan_waits_for_somebody_and_one_that_is_over_for_nothing(world):
    failed, done = world.run(Unreachable, host=1), world.trigger(Waits)
    world.event(done.id, 2, "finish").result()

    found = told(world, failed.id)

    (step_id,) = (step.id for step in failed.run_steps)
    assert found[None][0] == "resume"
    assert f"step {step_id} (Unreachable) failed" in found[None][1]
    assert found[step_id][1].startswith("waits with its plan, which is paused")
    assert told(world, done.id) == {}


def test_a_plan_that_nobody_asked_for_says_so(world):
    plan = world.plan(Waits)

    assert told(world, plan.id)[None] == ("resume", "was planned and nobody has asked to run it")


def test_a_scheduled_plan_tells_its_time_what_it_comes_after_and_whether_it_is_frozen(slow_world):
    first = slow_world.trigger(Waits).id
    later = datetime.now(UTC) + timedelta(days=1)

    timed = slow_world.delay(Waits, start_at=later).id
    frozen = slow_world.delay(Waits, frozen=True).id
    after = slow_world.chain(first, Waits).id

    assert told(slow_world, timed)[None] == ("due", f"starts at {later:%Y-%m-%d %H:%M:%S} UTC")
    assert told(slow_world, frozen)[None][0] == "frozen"
    assert told(slow_world, after)[None] == ("prerequisite", f"comes after plan {first}, which is running")


def test_there_must_be_a_plan_to_ask_about(world):
    with pytest.raises(PlanNotFound):
        world.why_waiting("0193f0c5-0000-7000-8000-00000000ffff")


def test_the_flow_and_the_timeline_of_a_plan_that_ran(world):
    plan = world.run(ThenMore)
    world.event(plan.id, plan.run_flow.step_ids[0], "finish").result()
    plan = world.persistence.load_execution_plan(plan.id)

    tree, shown = flow_tree(plan, Phase.RUN), timeline(plan)

    assert (tree.total, tree.done, tree.failed) == (2, 1, 1)
    assert shown.critical_path == plan.run_flow.step_ids
    assert all(bar.critical for bar in shown.bars)


def test_failures_of_one_cause_and_the_list_of_their_plans(world):
    plans = [world.run(Unreachable, host=host).id for host in (1, 2, 3)]
    other = world.run(ThenMore).id

    (group,) = world.persistence.failure_groups()
    listed = world.persistence.page_of_plans(
        PlanQuery.from_params([("error", "db2.example"), ("state", "paused")])
    )
    all_of_class = world.persistence.page_of_plans(PlanQuery(action="Unreachable", order_by="created_at"))

    assert group.message == "host db<n>.example is away after <n> s"
    assert sorted(group.plan_ids) == sorted(world.persistence.plans_of_failure(group.key)) == plans
    assert [line.id for line in listed.plans] == [plans[1]]
    assert [line.id for line in all_of_class.plans] == [other, *reversed(plans)]
    assert (all_of_class.total, all_of_class.plans[0].state) == (4, "running")
