"""Which methods are hooks, for what, and how they are called."""

from __future__ import annotations

from typing import Any

import pytest

from dynflow_mp import Action, DefinitionError, HookedPlan, hook
from dynflow_mp.actions.hooking import hooks_of
from dynflow_mp.actions.hooks import call_hooks, packed
from dynflow_mp.actions.middleware import CLASSES_ONLY
from dynflow_mp.actions.policy import policy_of
from dynflow_mp.actions.registry import name_of
from dynflow_mp.actions.unwinding import Stopped
from dynflow_mp.model.codec import encode
from dynflow_mp.model.hooks import STATES, HookedAction, kinds_of
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.model.stops import EXECUTOR_ENDED, TIMEOUT

CALLED: list[Any] = []


class Base(Action):
    @hook
    def every(self, plan: HookedPlan) -> None:
        CALLED.append(("every", plan.state, plan.result, self.is_root, self.root_action, self.input))

    @hook("success", "paused")
    def some(self, plan: HookedPlan) -> None:
        CALLED.append(("some", plan, self.output))


class Derived(Base):
    def every(self, plan: HookedPlan) -> None:
        pass

    @hook("stopped")
    def bad(self, plan: HookedPlan) -> None:
        raise SystemExit("out of paper")


class Interrupted(Action):
    @hook("stopped")
    def of_its_executor(self, plan: HookedPlan) -> None:
        raise Stopped(EXECUTOR_ENDED, "its executor ended")

    @hook("paused")
    def of_its_own(self, plan: HookedPlan) -> None:
        raise Stopped(TIMEOUT, "it took too long")


class Bare(Action):
    def run(self) -> None:
        pass


def called(kind: str | type[Action], *kinds: str, state: str = "stopped") -> list[str]:
    CALLED.clear()
    name = kind if isinstance(kind, str) else name_of(kind)
    row = HookedAction(name, 1, 1, 2, None, None, None, encode({"a": 1}, "input"), None)
    return call_hooks("plan", packed(list(kinds), ("Label", state, "success"), [row]), CLASSES_ONLY)


def test_without_kinds_a_hook_is_for_all_states_and_not_for_success_or_failure() -> None:
    assert {kind for kind, names in hooks_of(Base).items() if "every" in names} == set(STATES)
    assert hooks_of(Base)["success"] == ["some"]
    assert hooks_of(Base)["paused"] == ["every", "some"]


def test_a_class_without_hooks_has_none_and_its_policy_says_so() -> None:
    assert hooks_of(Bare) == {}
    assert policy_of(Bare).hooks == ""
    assert set(policy_of(Derived).hooks.split()) == {"stopped", "success", "paused"}


def test_b254_what_a_derived_class_overrides_is_no_hook_any_more() -> None:
    assert hooks_of(Derived) == {"success": ["some"], "paused": ["some"], "stopped": ["bad"]}
    assert "stopped" in hooks_of(Base)


@pytest.mark.parametrize("wrong", ["finished", "", 3])
def test_a_kind_that_there_is_not_is_refused(wrong: Any) -> None:
    with pytest.raises(DefinitionError, match="there are no hooks for"):
        hook("stopped", wrong)


def test_hooks_are_called_with_the_plan_as_it_was() -> None:
    assert called(Base, "pending", "stopped", "success") == []

    news = HookedPlan("plan", "Label", PlanState.STOPPED, Result.SUCCESS)
    assert [
        ("every", "pending", "pending", True, True, {"a": 1}),
        ("every", "stopped", "success", True, True, {"a": 1}),
        ("some", news, {}),
    ] == CALLED


def test_what_goes_wrong_is_told_and_keeps_no_other_from_being_called() -> None:
    (failure,) = called(Derived, "stopped", "success")

    assert failure.startswith(f"{name_of(Derived)}.bad: SystemExit: out of paper")
    assert [entry[0] for entry in CALLED] == ["some"]
    assert "no action class 'shop.Gone'" in called("shop.Gone", "stopped")[0]


def test_a_hook_that_ends_with_its_executor_has_not_failed_and_one_that_takes_too_long_has() -> None:
    with pytest.raises(Stopped, match="its executor ended"):
        called(Interrupted, "stopped")

    (failure,) = called(Interrupted, "paused")
    assert "it took too long" in failure


@pytest.mark.parametrize(
    ("state", "result", "halted", "kinds"),
    [
        (PlanState.RUNNING, Result.PENDING, False, ("running",)),
        (PlanState.PAUSED, Result.ERROR, False, ("paused",)),
        (PlanState.STOPPED, Result.SUCCESS, False, ("stopped", "success")),
        (PlanState.STOPPED, Result.WARNING, False, ("stopped", "failure")),
        (PlanState.STOPPED, Result.CANCELLED, False, ("stopped", "failure")),
        (PlanState.STOPPED, Result.ERROR, False, ("stopped", "failure")),
        (PlanState.STOPPED, Result.PENDING, False, ("stopped",)),
        (PlanState.STOPPED, Result.ERROR, True, ("stopped",)),
    ],
)
def test_w14_what_a_change_is_called(
    state: PlanState, result: Result, halted: bool, kinds: tuple[str, ...]
) -> None:
    assert kinds_of(state, result, halted) == kinds
