"""What stands around actions, on the in-thread world: hooks, middleware of a world, chunks, singletons and keys."""

from __future__ import annotations

from typing import Any

import pytest

from dynflow_mp import Action, BadUniqueKey, Middleware, Singleton, UniqueKeyTaken, hook
from dynflow_mp.testing import InThreadWorld

TOLD: list[str] = []


class Watched(Action):
    def run(self) -> None:
        if self.input.get("fail"):
            raise RuntimeError("no luck")

    @hook
    def told(self, plan: Any) -> None:
        TOLD.append(f"{plan.state}")

    @hook("success", "failure")
    def ended(self, plan: Any) -> None:
        TOLD.append(f"{plan.result}")


class Raises(Watched):
    @hook("stopped")
    def bad(self, plan: Any) -> None:
        raise RuntimeError("a bad hook")


class Shouts(Middleware):
    def run(self, *args: Any) -> None:
        self.pass_on(*args)
        self.action.output["heard"] = "everywhere"


class Chatty(Action):
    def run(self, event: Any = None) -> None:
        self.output_chunk(1)
        if event is None:
            self.suspend()


class Alone(Singleton):
    unique_key = "alone-{number}"

    def run(self, event: Any = None) -> None:
        if event is None:
            self.suspend()


class Keyless(Action):
    def unique_key(self) -> str:
        self.error("no key")

    def run(self) -> None: ...


def test_a_unique_key_that_leaves_by_error_is_refused() -> None:
    with InThreadWorld() as world, pytest.raises(BadUniqueKey, match="no key"):
        world.trigger(Keyless)


def test_b257_a_hook_without_kinds_is_called_for_each_state() -> None:
    TOLD.clear()
    with InThreadWorld() as world:
        assert world.run(Watched).result == "success"

    assert TOLD == ["pending", "planning", "planned", "running", "stopped", "success"]


def test_b251_b253_a_paused_plan_is_told_and_a_hook_that_raises_changes_nothing() -> None:
    TOLD.clear()
    with InThreadWorld() as world:
        assert world.run(Raises, fail=True).state == "paused"
        assert TOLD[3:] == ["running", "paused"]
        assert world.run(Raises).result == "success"

    assert TOLD[-2:] == ["stopped", "success"]


def test_hooks_of_an_executor_that_was_killed_are_called_by_the_next() -> None:
    TOLD.clear()
    with InThreadWorld() as world:
        world.kill_executor(Watched, ran=True)
        world.run(Watched)

    assert TOLD == ["pending", "planning", "planned", "running", "paused"]


def test_middleware_of_the_world_stands_around_every_action() -> None:
    with InThreadWorld(middleware=[Shouts]) as world:
        assert world.run(Watched).entry_action.output == {"heard": "everywhere"}
    with InThreadWorld() as world:
        assert world.run(Watched).entry_action.output == {}


def test_chunks_are_stored_with_each_call() -> None:
    with InThreadWorld() as world:
        plan = world.run(Chatty)
        (step,) = plan.run_steps
        world.event(plan.id, step.id, "on").result(5)

        assert [chunk.value for chunk in plan.entry_action.output_chunks()] == [1, 1]


def test_a_singleton_and_a_key_are_held_while_the_plan_is_active_and_no_longer() -> None:
    with InThreadWorld() as world:
        plan = world.run(Alone, number=1)
        assert Alone.singleton_locked(world)
        with pytest.raises(UniqueKeyTaken, match=plan.id):
            world.trigger(Alone, number=1)
        second = world.trigger(Alone, number=2)
        assert str(second.error) == "Action Alone is already active"  # type: ignore[union-attr]
        (step,) = plan.run_steps
        world.event(plan.id, step.id, "on").result(5)

        assert world.persistence.load_execution_plan(plan.id).result == "success"
        assert not Alone.singleton_locked(world)
