"""A worker's part after an error: the event of being skipped, what is worth another try, what actions are asked."""

from __future__ import annotations

from typing import Any

import pytest
from test_phases import acting, error_of, job, output_of

from dynflow_mp import Action, Fail, Pause, PlanningError, RescueStrategy, Retry, Skip
from dynflow_mp.actions.phases import run_step
from dynflow_mp.actions.policy import deadline_of, policy_of
from dynflow_mp.actions.registry import name_of
from dynflow_mp.actions.rescue import AskedAction, question, tell_strategy
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.states import StepState
from dynflow_mp.model.work import Errand, ErrorRecord


def test_the_event_of_being_skipped_is_the_strategy_itself() -> None:
    def run(self: Any, event: Any = None) -> None:
        self.output["told"] = [event is Skip, event is RescueStrategy.SKIP, event == "skip"]

    outcome = run_step(job(acting(run), skipping=True))

    assert outcome.state is StepState.SKIPPED
    assert output_of(outcome) == {"told": [True, True, True]}


def test_a_run_without_an_event_is_not_called_for_it() -> None:
    def run(self: Any) -> None:
        raise AssertionError("called")

    assert run_step(job(acting(run), skipping=True)).state is StepState.SKIPPED


def test_what_fails_while_it_is_skipped_is_an_error_and_what_it_wrote_is_kept() -> None:
    def run(self: Any, event: Any = None) -> None:
        self.output["partly"] = 1
        raise ValueError("no")

    outcome = run_step(job(acting(run, retry=Retry()), skipping=True))

    assert (outcome.state, error_of(outcome).message) == (StepState.ERROR, "no")
    assert output_of(outcome) == {"partly": 1}


def test_what_is_being_skipped_cannot_wait() -> None:
    def run(self: Any, event: Any = None) -> None:
        self.suspend()

    outcome = run_step(job(acting(run), skipping=True))

    assert outcome.state is StepState.ERROR
    assert "cannot be suspended" in error_of(outcome).message


@pytest.mark.parametrize(
    ("retry", "error", "retryable"),
    [
        (None, OSError, False),
        (Retry(), OSError, True),
        (Retry(on=OSError), ConnectionError, True),
        (Retry(on=OSError), ValueError, False),
        (Retry(on=OSError, not_on=ConnectionError), ConnectionError, False),
        (Retry(), SystemExit, False),
    ],
)
def test_an_outcome_says_whether_the_error_is_worth_another_try(
    retry: Retry | None, error: type[BaseException], retryable: bool
) -> None:
    def run(self: Any) -> None:
        raise error("no")

    outcome = run_step(job(acting(run, retry=retry)))

    assert (outcome.state, outcome.retryable) == (StepState.ERROR, retryable)


# -- what a class may say --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        {"rescue_strategy": "retreat"},
        {"rescue_strategy": 7},
        {"rescue_strategy": Skip.__class__},
        {"retry": 3},
        {"retry": {"max_attempts": 3}},
        {"idempotent": "yes"},
    ],
)
def test_an_attribute_that_cannot_be_meant_is_a_planning_error_that_names_it(facts: dict[str, Any]) -> None:
    (name,) = facts
    with pytest.raises(PlanningError, match=rf"\.{name} is "):
        policy_of(acting(lambda self: None, **facts))


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), "1", True])
def test_a_deadline_that_cannot_be_meant_is_a_planning_error(wrong: Any) -> None:
    with pytest.raises(PlanningError, match=r"\.deadline_s is "):
        deadline_of(acting(lambda self: None, deadline_s=wrong))


def test_strategies_are_known_by_their_names() -> None:
    assert (Skip, Pause, Fail) == ("skip", "pause", "fail")
    assert policy_of(acting(lambda self: None, rescue_strategy=Fail)).rescue_strategy == "fail"
    assert policy_of(acting(lambda self: None, rescue_strategy=None)).rescue_strategy is None


# -- asking ----------------------------------------------------------------------------------------


class Child(Action):
    rescue_strategy = Skip

    def run(self) -> None:
        pass


class Parent(Action):
    def rescue_strategy_for_planned_action(self, action: Action) -> Any:
        if action.input.get("vital"):
            return Fail
        return super().rescue_strategy_for_planned_action(action)


class Moody(Action):
    def rescue_strategy_for_self(self) -> Any:
        return self.output["mood"]


ERROR = ErrorRecord("OSError", "no disk").to_bytes()


def asked(
    action_id: int,
    kind: type[Action],
    values: dict[str, Any],
    planned: tuple[int, ...] = (),
    failed: bool = True,
    output: dict[str, Any] | None = None,
) -> AskedAction:
    return AskedAction(
        action_id,
        name_of(kind),
        action_id * 10,
        action_id * 10 + 1,
        None,
        encode(values, "input"),
        None,
        None if output is None else encode(output, "output"),
        list(planned),
        [[action_id * 10 + 1, "run", ERROR]] if failed else [],
    )


def told(*actions: AskedAction) -> Any:
    return decode(tell_strategy(Errand("p", 1, "rescue", "", question(1, list(actions))), 1024))


def test_only_those_that_want_to_be_are_asked() -> None:
    assert not policy_of(Child).asks_for_rescue
    assert policy_of(Parent).asks_for_rescue
    assert policy_of(Moody).asks_for_rescue


def test_what_an_action_does_not_decide_is_what_the_one_below_says() -> None:
    parent = asked(1, Parent, {}, (2, 3), failed=False)

    assert told(parent, asked(2, Child, {}), asked(3, Child, {})) == "skip"
    assert told(parent, asked(2, Child, {"vital": 1}), asked(3, Child, {"vital": 1})) == "fail"
    assert told(parent, asked(2, Child, {"vital": 1}), asked(3, Child, {})) == "pause"


@pytest.mark.parametrize("mood", ["skip", "fail", "pause", None])
def test_an_action_decides_about_itself(mood: str | None) -> None:
    assert told(asked(1, Moody, {}, output={"mood": mood})) == mood


def test_an_action_below_the_next_is_asked_through_it() -> None:
    top = asked(1, Parent, {}, (2,), failed=False)
    middle = asked(2, Parent, {}, (3,), failed=False)

    assert told(top, middle, asked(3, Child, {})) == "skip"
    assert told(top, middle, asked(3, Child, {"vital": 1})) == "fail"


def test_what_is_no_strategy_is_an_error_that_says_who_gave_it() -> None:
    with pytest.raises(Exception, match="Moody gave 'retreat'"):
        told(asked(1, Moody, {}, output={"mood": "retreat"}))
