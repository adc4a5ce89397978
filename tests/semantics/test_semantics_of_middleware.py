"""Middleware of an in-thread world: core B233, B238. The rest is where middleware is told."""

from __future__ import annotations

from dynflow_mp import Action, Middleware
from dynflow_mp.actions.middleware import world_middleware
from dynflow_mp.testing import InThreadWorld

CALLS: list[str] = []


class OfTheWorld(Middleware):
    def run(self, *args):
        CALLS.append("world before")
        self.pass_on(*args)
        CALLS.append(f"world after {self.action.output}")


class OfTheClass(Middleware):
    def run(self, *args):
        CALLS.append(f"class before {self.action.input}")
        self.pass_on(*args)
        CALLS.append("class after")


class Surrounded(Action):
    middleware = (OfTheClass,)

    def run(self):
        CALLS.append("run")
        self.output["done"] = True


def test_b233_b238_the_worlds_middleware_stands_outside_of_the_classes(world):
    """And only around what runs in that world, while it is there."""
    before = world_middleware()
    CALLS.clear()
    with InThreadWorld(middleware=[OfTheWorld]) as surrounding:
        assert surrounding.run(Surrounded, a=1).result == "success"
        assert world.run(Surrounded, b=2).result == "success"

    assert CALLS == [
        "world before",
        "class before {'a': 1}",
        "run",
        "class after",
        "world after {'done': True}",
        "class before {'b': 2}",
        "run",
        "class after",
    ]
    assert world_middleware() is before


class KeepsOut(Middleware):
    """Lets nothing inside happen."""

    def run(self, *args):
        CALLS.append("run kept out")

    def finalize_phase(self):
        CALLS.append("finalize kept out")


class KeptOut(Action):
    middleware = (KeepsOut,)
    finalize_progress_weight = 3

    def run(self):
        raise AssertionError("kept out")

    def finalize(self):
        raise AssertionError("kept out")


def test_where_nothing_is_passed_on_each_step_ends_well_with_the_weight_it_was_planned_with(world):
    CALLS.clear()

    plan = world.run(KeptOut)

    assert (plan.state, plan.result) == ("stopped", "success")
    assert CALLS == ["run kept out", "finalize kept out"]
    assert [step.progress_weight for step in plan.finalize_steps] == [3]


class RaisesAround(Middleware):
    def finalize_phase(self):
        raise RuntimeError("no transaction")


class RaisedAround(Action):
    middleware = (RaisesAround,)

    def finalize(self):
        raise AssertionError("never begun")


def test_an_error_of_what_stands_around_the_finalize_phase_pauses_the_plan(world):
    plan = world.run(RaisedAround)

    assert (plan.state, [str(error.message) for error in plan.errors]) == ("paused", ["no transaction"])
