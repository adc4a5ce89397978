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
