"""Hooks, called by the time a request returns: core B250, B251, B253, B257."""

from __future__ import annotations

import pytest

from dynflow_mp import Action, WithSubPlans, hook
from dynflow_mp.testing import InThreadWorld

NOTED: list[str] = []
ATTEMPTS: list[str] = []


class Watched(Action):
    """Notes every state of its plan; fails once if told to."""

    def plan(self, **values):
        if values.get("cannot"):
            raise ValueError("cannot be planned")
        self.plan_self(**values)

    def run(self):
        ATTEMPTS.append("run")
        if self.input.get("fails_once") and len(ATTEMPTS) == 1:
            raise RuntimeError("no luck")

    @hook
    def note_state(self, plan):
        NOTED.append(f"{plan.state} {plan.result}")

    @hook("success", "failure")
    def note_end(self, plan):
        NOTED.append(f"end {plan.result}")


class Raises(Watched):
    @hook("stopped")
    def another(self, plan):
        raise RuntimeError("a hook fails")


class Member(Action):
    @hook("stopped")
    def note_root(self, plan):
        if self.root_action:
            NOTED.append(type(self).__name__)

    def run(self):
        pass


class Family(Member):
    def plan(self):
        self.plan_action(Member)
        self.plan_action(Member)
        self.plan_self()


class HoldsBack(WithSubPlans):
    """Makes watched plans of which none may start."""

    def plan(self):
        self.limit_concurrency_level(0)
        self.plan_self()

    def create_sub_plans(self):
        return [self.trigger(Watched) for _ in range(2)]


class OneAtATime(Watched):
    unique_key = "one"
    unique_mode = "replace"


@pytest.fixture(autouse=True)
def _nothing_noted():
    NOTED.clear()
    ATTEMPTS.clear()


WHOLE = [
    "pending pending",
    "planning pending",
    "planned pending",
    "running pending",
    "stopped success",
    "end success",
]


def test_b250_b257_hooks_are_called_for_each_state_and_for_the_end(world):
    world.run(Watched)

    assert NOTED == WHOLE


def test_b251_a_hook_for_paused_is_called_and_again_after_the_next_attempt(world):
    paused = world.run(Watched, fails_once=True)
    assert NOTED[4:] == ["paused error"]

    world.execute(paused.id)

    assert NOTED[5:] == ["running pending", "stopped success", "end success"]


def test_b253_a_hook_that_raises_changes_nothing_for_the_plan_or_other_hooks(world):
    assert world.run(Raises).result == "success"

    assert NOTED == WHOLE


def test_a_plan_that_cannot_be_planned_has_failed(world):
    assert not world.trigger(Watched, cannot=True).planned

    assert NOTED == ["pending pending", "planning pending", "stopped error", "end error"]


def test_b255_a_hook_may_be_about_the_root_action_alone(world):
    world.run(Family)

    assert NOTED == ["Family"]


def test_sub_plans_that_are_ended_before_they_began_have_failed(world):
    parent = world.run(HoldsBack)
    NOTED.clear()

    world.cancel(parent.id).result()
    world.go_on()

    assert NOTED == ["stopped error", "end error"] * 2


def test_a_plan_that_made_way_for_another_has_stopped_and_neither_failed_nor_succeeded(world):
    world.plan(OneAtATime)
    world.go_on()
    NOTED.clear()

    world.plan(OneAtATime)
    world.go_on()

    assert [noted for noted in NOTED if noted.startswith(("stopped", "end"))] == ["stopped pending"]


def test_hooks_that_nobody_called_are_called_by_the_next_world(tmp_path):
    url = f"sqlite:///{tmp_path}/plans.db"
    with InThreadWorld(database_url=url) as world:
        planned = world.plan(Watched)
    assert NOTED == []

    with InThreadWorld(database_url=url) as other:
        other.execute(planned.id)

    assert NOTED == WHOLE


def test_hooks_survive_the_executor_that_was_to_call_them(world):
    world.kill_executor(at=Watched)

    paused = world.run(Watched)

    assert NOTED[3:] == ["running pending", "paused error"]
    world.execute(paused.id)
    assert NOTED[5:] == ["running pending", "stopped success", "end success"]
