"""Random plans with random failures, waits and deaths: what holds whatever happens.

Each step has a script of what its calls do, one word a call; when the script is over it succeeds. A driver resumes the
plan and sends events until it stops, and looks at everything in between.
"""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from looking import locks
from sqlalchemy import func, select

from dynflow_mp import Action
from dynflow_mp.model.flows import Sequence, step_ids
from dynflow_mp.model.states import result_of
from dynflow_mp.persistence.tables import events
from dynflow_mp.testing import InThreadWorld

CALLED: list[tuple[int, str]] = []
"""(number of the action, phase) of every call, in order."""
TIMES: Counter[tuple[int, str]] = Counter()


def _called(number, phase):
    CALLED.append((number, phase))
    TIMES[number, phase] += 1
    return TIMES[number, phase] - 1


class Scripted(Action):
    def run(self, event=None):
        script = self.input["run"]
        call = _called(self.input["number"], "run")
        word = script[call] if call < len(script) else "succeed"
        if word == "fail":
            raise RuntimeError(f"call {call} of {self.input['number']}")
        if word == "sleep":
            self.plan_event("woken", delay_s=3600)
            self.suspend()
        if word == "wait":
            self.suspend()
        self.output["number"] = self.input["number"]

    def finalize(self):
        if _called(self.input["number"], "finalize") < self.input["finalize_failures"]:
            raise RuntimeError(f"finalize of {self.input['number']}")


class Planted(Action):
    """Plans a tree: a dict is a step, a list of a word and what stands in it a flow."""

    def plan(self, tree):
        self.numbers = count(1)
        self.plant(tree)

    def plant(self, tree):
        if isinstance(tree, dict):
            self.plan_action(Scripted, number=next(self.numbers), **tree)
            return
        with self.sequence() if tree[0] == "sequence" else self.concurrence():
            for branch in tree[1]:
                self.plant(branch)


steps = st.fixed_dictionaries(
    {
        "run": st.lists(st.sampled_from(["fail", "sleep", "wait"]), max_size=3),
        "finalize_failures": st.sampled_from([0, 0, 0, 1, 2]),
    }
)
trees = st.recursive(
    steps,
    lambda inner: st.tuples(st.sampled_from(["sequence", "concurrence"]), st.lists(inner, max_size=4)).map(
        list
    ),
    max_leaves=10,
)
deaths = st.lists(
    st.tuples(st.sampled_from(["worker", "executor"]), st.integers(0, 30), st.booleans()), max_size=3
)


bounded = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],  # to explain a failure takes minutes
)


@pytest.mark.timeout(400)  # to make a failing plan small takes time
@settings(bounded, max_examples=40)
@given(tree=trees, deaths=deaths, workers=st.integers(1, 3))
def test_every_plan_stops_and_nothing_runs_before_its_time_or_twice_without_reason(tree, deaths, workers):
    CALLED.clear()
    TIMES.clear()
    with InThreadWorld(workers=workers) as world:
        plan = world.plan(Planted, tree)
        order_deaths(world, plan, deaths)
        driver = Driver(world, plan)

        driver.drive()

        assert (driver.plan.state, driver.plan.result) == ("stopped", "success")
        assert {step.state for step in driver.plan.steps.values()} <= {"success"}
        assert_nothing_is_left(world)


@pytest.mark.timeout(400)
@settings(bounded, max_examples=25)
@given(tree=trees, deaths=deaths, looks=st.integers(0, 6))
def test_a_plan_halted_at_any_moment_stops_and_nothing_of_it_begins_any_more(tree, deaths, looks):
    CALLED.clear()
    TIMES.clear()
    with InThreadWorld() as world:
        plan = world.plan(Planted, tree)
        order_deaths(world, plan, deaths)
        driver = Driver(world, plan)

        driver.drive(looks)
        halted, called = world.persistence.load_execution_plan(plan.id), len(CALLED)
        if halted.state != "stopped":
            halted = world.halt(plan.id).result()
        world.clock.advance(24 * 3600)

        assert halted.state == "stopped"
        assert len(CALLED) == called
        after = world.persistence.load_execution_plan(plan.id)
        assert [step.state for step in after.steps.values()] == [step.state for step in halted.steps.values()]
        assert "running" not in {step.state for step in after.steps.values()}
        assert_nothing_is_left(world)


def assert_nothing_is_left(world):
    """No plan is held, no event waits."""
    assert locks(world) == 0
    with world.persistence._store.database.read() as connection:
        assert connection.execute(select(func.count()).where(events.c.taken_at.is_(None))).scalar() == 0


def order_deaths(world, plan, wanted):
    mortal = [step.id for step in plan.steps.values() if step.phase != "plan"]
    for who, where, ran in wanted if mortal else ():
        step_id = mortal[where % len(mortal)]
        (world.lose_worker if who == "worker" else world.kill_executor)(step_id, ran=ran)


class Driver:
    """Drives one plan to its end."""

    def __init__(self, world, plan):
        self.world, self.plan = world, plan
        self.numbers = {
            step.id: plan.action(step.action_id).input["number"]
            for step in plan.run_steps + plan.finalize_steps
        }
        self.before = prerequisites(plan.run_flow)
        self.seen = 0

    def drive(self, looks=200):
        """Until it stops; or so many looks, if they are few."""
        if not looks:
            return
        future = self.world.execute(self.plan.id)
        for _ in range(looks):
            self.look(future)
            if self.plan.state == "stopped":
                return
            if self.plan.state == "paused":
                future = self.world.execute(self.plan.id)
            else:
                self.wake_one()
        assert looks < 200, f"{self.plan} does not come to an end"

    def wake_one(self):
        waiting = self.plan.steps_in_state("suspended")
        assert waiting, "a running plan at rest waits for something"
        assert self.world.event(self.plan.id, waiting[0].id, "woken").result() is True

    def look(self, future):
        done_before = {step.id for step in self.plan.run_steps if step.state == "success"}
        self.plan = self.world.persistence.load_execution_plan(self.plan.id)
        self.check_calls(done_before)
        self.check_rest(future)

    def check_calls(self, done_before):
        """Nothing ran before what it needs had run; what had succeeded did not run again."""
        new, self.seen = CALLED[self.seen :], len(CALLED)
        again = {number for number, phase in new if phase == "run"}
        assert again.isdisjoint(self.numbers[step_id] for step_id in done_before)
        for step in self.plan.run_steps:
            if step.attempts:
                states = {self.plan.steps[earlier].state for earlier in self.before[step.id]}
                assert states <= {"success"}
            assert TIMES[self.numbers[step.id], "run"] <= step.attempts
        if any(phase == "finalize" for _, phase in new):
            assert {step.state for step in self.plan.run_steps} <= {"success"}

    def check_rest(self, future):
        """Every plan ends, pauses with a cause, or waits; its result is that of its steps."""
        plan = self.plan
        assert plan.state in ("stopped", "paused", "running")
        assert future.done() is (plan.state != "running")
        assert plan.result == result_of(step.state for step in plan.steps.values())
        assert all(step.error is not None for step in plan.failed_steps)
        assert all(step.error is None for step in plan.steps.values() if step.state == "success")
        if plan.state == "paused":
            assert plan.failed_steps
        assert locks(self.world) == (plan.state == "running")


def prerequisites(flow, earlier=()):
    """Which steps stand before each, by step id."""
    if isinstance(flow, int):
        return {flow: set(earlier)}
    found = {}
    for branch in flow:
        found |= prerequisites(branch, earlier)
        if isinstance(flow, Sequence):
            earlier = (*earlier, *step_ids(branch))
    return found
