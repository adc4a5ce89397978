"""A plan that waits: what is stored of it, and what it is planned with when its time comes."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from dynflow_mp import (
    Action,
    DataError,
    Middleware,
    PayloadTooLarge,
    PlanningError,
    StepError,
    UnknownAction,
    WrongPhase,
)
from dynflow_mp.actions.registry import name_of
from dynflow_mp.model.codec import MAX_PAYLOAD, decode
from dynflow_mp.planning.delaying import decode_arguments, encode_arguments, plan_scheduled, schedule

PLAN_ID = "0193f0c5-0000-7000-8000-000000000001"
OPTIONS = {"start_at": None, "start_before": None, "frozen": False}


class Report(Action):
    queue = "slow"

    def plan(self, *args: Any, **kwargs: Any) -> None:
        self.plan_self(args=list(args), **kwargs)

    def run(self) -> None:
        pass


class Prepared(Report):
    def delay(self, options: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.input["asked_at"] = options["start_at"]
        return [f"prepared {args[0]}"], {"more": 1}


class Careless(Report):
    def delay(self, options: Any, /, *args: Any, **kwargs: Any) -> Any:
        return args[0]


class Impatient(Report):
    def delay(self, options: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.plan_self()


class Unwilling(Report):
    def delay(self, options: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.error("not on Sundays")


def delayed(kind: type[Action], *args: Any, limit: int = 10_000, **kwargs: Any) -> Any:
    return schedule(kind, args, kwargs, OPTIONS, plan_id=PLAN_ID, max_payload=limit)


def planned_later(kind: type[Action], made: Any) -> Any:
    clock = count(1_000_000, 1_000)
    stored_input = made.plan.actions[0].input
    return plan_scheduled(name_of(kind), PLAN_ID, made.arguments, stored_input, lambda: next(clock), 10_000)


def test_it_is_one_step_that_waits():
    made = delayed(Report, 1)

    (step,), (action,) = made.plan.steps, made.plan.actions
    assert (made.plan.id, made.plan.label, made.plan.state, made.plan.result) == (
        PLAN_ID,
        "Report",
        "scheduled",
        "pending",
    )
    assert (step.phase, step.state, step.queue) == ("plan", "pending", "slow")
    assert (action.action_class, action.run_step_id) == (name_of(Report), None)


@pytest.mark.parametrize(
    "args",
    [
        (),
        (1, 2.5, "text", None, True, b"\x00"),
        ([1, [2, {"deep": [3]}]], {"a": {"b": []}}),
        (datetime(2030, 1, 1, tzinfo=UTC),),
    ],
)
def test_arguments_are_kept_as_they_are(args: tuple[Any, ...]):
    """B269, B271: read when they are asked for."""
    assert decode_arguments(encode_arguments(args, {"key": list(args)}, 10_000)) == (
        list(args),
        {"key": list(args)},
    )


def test_it_is_planned_with_its_arguments_under_its_id():
    made = planned_later(Report, delayed(Report, 1, x=[2]))

    assert made.plan.id == PLAN_ID
    assert made.plan.state == "planned"
    assert decode(made.plan.actions[0].input) == {"args": [1], "x": [2]}


def test_what_delay_puts_into_the_input_is_there_when_it_is_planned():
    """B239 in part: the input set in delay is seen by plan and run."""
    made = planned_later(Prepared, delayed(Prepared, "this"))

    assert decode(made.plan.actions[0].input) == {
        "asked_at": None,
        "args": ["prepared this"],
        "more": 1,
    }


@pytest.mark.parametrize(
    ("args", "kwargs", "place"),
    [
        ((1, object()), {}, r"args\[1\]"),
        ((), {"when": {"at": datetime(2030, 1, 1)}}, r"kwargs\['when'\]\['at'\]"),
    ],
)
def test_what_cannot_be_stored_is_named_by_its_place(args: Any, kwargs: Any, place: str):
    """B261: to the caller."""
    with pytest.raises(DataError, match=place):
        delayed(Report, *args, **kwargs)


def test_too_much_is_refused():
    with pytest.raises(PayloadTooLarge):
        delayed(Report, "x" * 2_000, limit=1_000)


def test_what_delay_raises_is_the_callers_to_hear():
    with pytest.raises(StepError, match="not on Sundays"):
        delayed(Unwilling)


def test_delay_returns_arguments_or_nothing():
    with pytest.raises(PlanningError, match="must return None or"):
        delayed(Careless, "text")


def test_nothing_is_planned_while_it_is_delayed():
    with pytest.raises(WrongPhase, match="plan_self is there in phase plan, not in delay"):
        delayed(Impatient)


@pytest.mark.parametrize("kind", [int, None, "Report", Action])
def test_only_actions_can_be_delayed(kind: Any):
    with pytest.raises(PlanningError):
        delayed(kind)


def test_a_class_that_is_gone_is_said_so():
    made = delayed(Report)

    with pytest.raises(UnknownAction):
        plan_scheduled("shop.Gone", PLAN_ID, made.arguments, made.plan.actions[0].input, lambda: 1, 100)


class Stamps(Middleware):
    def delay(self, options: Any, *args: Any, **kwargs: Any) -> Any:
        self.action.input["by"] = "ann"
        return self.pass_on(options, *args, **kwargs)


class Stamped(Action):
    middleware = (Stamps,)

    def run(self) -> None:
        pass


def test_b239_middleware_may_change_the_input_when_a_plan_is_delayed() -> None:
    made = schedule(Stamped, (), {"n": 1}, {}, plan_id=PLAN_ID)
    planned = plan_scheduled(
        name_of(Stamped), PLAN_ID, made.arguments, made.plan.actions[0].input, lambda: 1, MAX_PAYLOAD
    )

    assert decode(planned.plan.actions[0].input) == {"by": "ann", "n": 1}
