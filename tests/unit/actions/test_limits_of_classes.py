"""What a class says about one call of its run, and where an event it plans may go."""

from __future__ import annotations

from typing import Any

import pytest

from dynflow_mp import Action, BadArgument, Cancellable, DataError, PlanningError, Polling
from dynflow_mp.actions.planned_event import planned_event
from dynflow_mp.actions.policy import policy_of
from dynflow_mp.model.policies import ActionPolicy

OWN = ("plan", 2)


def a_class(bases: tuple[type, ...] = (Action,), **facts: Any) -> type[Action]:
    made: type[Action] = type("Limited", bases, {"run": lambda self: None, "__module__": "shop", **facts})
    return made


@pytest.mark.parametrize(
    ("given", "size"),
    [
        (None, None),
        (1, 1),
        (2**40, 2**40),
        ("512MiB", 512 * 2**20),
        ("512 mib", 512 * 2**20),
        ("1.5GiB", 1536 * 2**20),
        ("64k", 64_000),
        ("10MB", 10_000_000),
        ("4096", 4096),
    ],
)
def test_a_memory_limit_is_bytes_or_a_text(given: Any, size: int | None) -> None:
    assert policy_of(a_class(memory_limit=given)).memory_limit == size


@pytest.mark.parametrize(
    "given", [0, -1, True, 1.5, "much", "", "-5MiB", "5TiB", b"5MiB", 2**63, float("nan")]
)
def test_a_memory_limit_that_cannot_be_meant_is_a_planning_error(given: Any) -> None:
    with pytest.raises(PlanningError, match="memory_limit"):
        policy_of(a_class(memory_limit=given))


@pytest.mark.parametrize(("given", "seconds"), [(None, None), (1, 1.0), (0.25, 0.25)])
def test_a_time_limit_is_seconds(given: Any, seconds: float | None) -> None:
    assert policy_of(a_class(run_timeout_s=given)).run_timeout_s == seconds


@pytest.mark.parametrize("given", [0, -1, True, "1", float("nan"), float("inf"), 1e12])
def test_a_time_limit_that_cannot_be_meant_is_a_planning_error(given: Any) -> None:
    with pytest.raises(PlanningError, match="run_timeout_s"):
        policy_of(a_class(run_timeout_s=given))


def test_a_cancellable_class_is_known_as_such() -> None:
    takes: Any = lambda self, event=None: None  # noqa: E731 - a method of a class made here

    assert policy_of(a_class((Cancellable, Polling), run=takes)).cancellable
    assert not policy_of(a_class((Polling,), run=takes)).cancellable


def test_a_cancellable_class_whose_run_takes_no_event_could_never_be_cancelled() -> None:
    with pytest.raises(PlanningError, match=r"run\(self, event=None\)"):
        policy_of(a_class((Cancellable,)))


def test_a_policy_of_before_has_no_limits() -> None:
    old = ActionPolicy.from_data(["slow", True, "pause", False])

    assert (old.cancellable, old.run_timeout_s, old.memory_limit) == (False, None, None)
    assert ActionPolicy.from_data(policy_of(a_class(memory_limit="1k")).to_data()).memory_limit == 1000


# -- events ----------------------------------------------------------------------------------------


def test_an_event_goes_to_the_step_itself_or_to_another() -> None:
    assert planned_event(OWN, "e", None, False, None, None, 100)[:2] == ("plan", 2)
    assert planned_event(OWN, "e", None, False, None, 7, 100)[:2] == ("plan", 7)
    assert planned_event(OWN, "e", 2, True, "other", 7, 100)[:2] == ("other", 7)


@pytest.mark.parametrize(
    ("delay_s", "plan_id", "step_id"),
    [
        (-1, None, None),
        (float("nan"), None, None),
        (float("inf"), None, None),
        ("1", None, None),
        (True, None, None),
        (None, "other", None),
        (None, "", 2),
        (None, 5, 2),
        (None, None, 0),
        (None, None, True),
        (None, None, "2"),
        (None, None, 2**31),
    ],
)
def test_an_event_that_cannot_be_meant_is_refused(delay_s: Any, plan_id: Any, step_id: Any) -> None:
    with pytest.raises(BadArgument):
        planned_event(OWN, "e", delay_s, False, plan_id, step_id, 100)


def test_an_event_that_cannot_be_stored_is_refused() -> None:
    with pytest.raises(DataError, match="event"):
        planned_event(OWN, object(), None, False, None, None, 100)
