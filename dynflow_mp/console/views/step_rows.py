"""The steps of a plan as rows of a table, and which of them are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from dynflow_mp.console.views.cut_text import one_line
from dynflow_mp.errors import DynflowError, QueryError
from dynflow_mp.model.states import Phase, PlanState, StepState

MOST_TEXT = 200
_PHASES = (Phase.PLAN, Phase.RUN, Phase.FINALIZE)


class AskedSteps(NamedTuple):
    """Which steps; nothing given: all."""

    states: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    text: str = ""

    @classmethod
    def from_params(cls, pairs: Iterable[tuple[str, str]]) -> AskedSteps:
        """From a URL's parameters. Raises :class:`QueryError` for words that are no states or phases."""
        given: dict[str, list[str]] = {"state": [], "phase": [], "text": []}
        for name, text in pairs:
            if name in given and text and text not in given[name]:
                given[name].append(text)
        _check("state", given["state"], [str(state) for state in StepState])
        _check("phase", given["phase"], [str(phase) for phase in _PHASES])
        text = given["text"][0].strip() if given["text"] else ""
        if len(text) > MOST_TEXT:
            raise QueryError(f"text: {len(text)} characters are more than {MOST_TEXT}")
        return cls(tuple(given["state"]), tuple(given["phase"]), text)

    def to_params(self) -> list[tuple[str, str]]:
        """What :meth:`from_params` reads."""
        found = [("state", state) for state in self.states] + [("phase", phase) for phase in self.phases]
        return found + ([("text", self.text)] if self.text else [])


class StepLine(NamedTuple):
    """One row."""

    id: int
    action: str
    phase: str
    state: str
    progress: float
    attempts: int
    took_s: float | None
    execution_time: float
    queue: str | None
    error: str
    can_skip: bool


def asked_for(steps: Iterable[Any], asked: AskedSteps) -> list[Any]:
    """The steps that were asked for, in the order of their ids."""
    text = asked.text.casefold()
    return [
        step
        for step in steps
        if (not asked.states or step.state in asked.states)
        and (not asked.phases or step.phase in asked.phases)
        and (not text or _has(step, text))
    ]


def step_line(step: Any, plan_state: str, shown_error: Callable[[Any], Any], now: datetime) -> StepLine:
    """A row; ``shown_error`` gives a step's error as it may be shown."""
    error = shown_error(step) if step.state == StepState.ERROR else None
    return StepLine(
        step.id,
        step.action_class,
        str(step.phase),
        str(step.state),
        step.progress_done,
        step.attempts,
        took_s(step, now),
        step.execution_time,
        step.queue,
        "" if error is None else one_line(f"{error.exception_class}: {error.message}"),
        can_be_skipped(step, plan_state),
    )


def took_s(step: Any, now: datetime) -> float | None:
    """From its first start to its last end, or until now while it goes on; None for one that has not ended yet once."""
    if step.state in (StepState.RUNNING, StepState.SUSPENDED) and step.started_at is not None:
        seconds: float = (now - step.started_at).total_seconds()
        return max(0.0, seconds)
    return None if step.ended_at is None else float(step.real_time)


def can_be_skipped(step: Any, plan_state: str) -> bool:
    """A failed step of a plan that is paused."""
    return bool(plan_state == PlanState.PAUSED and step.state == StepState.ERROR and step.phase != Phase.PLAN)


def _has(step: Any, text: str) -> bool:
    if text == str(step.id) or text in step.action_class_name.casefold():
        return True
    try:
        error = step.error
    except DynflowError:  # one damaged error must not hide the other steps
        return False
    return error is not None and text in f"{error.exception_class}: {error.message}".casefold()


def _check(name: str, words: list[str], known: list[str]) -> None:
    for word in words:
        if word not in known:
            raise QueryError(f"{name}={word[:80]!r}: must be one of {', '.join(known)}")
