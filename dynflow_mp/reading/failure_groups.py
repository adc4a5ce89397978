"""Failures of one cause together: which plans each has, since when, and one of them to look at."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from dynflow_mp.model.work import beginning_of_error
from dynflow_mp.persistence.failed_steps import FailedStep, FailedSteps
from dynflow_mp.reading.normalised_error import NormalisedError, normalised_error
from dynflow_mp.reading.step import at

MOST_PLANS_NAMED = 1_000


class FailureExample(NamedTuple):
    """The newest step of a group: where to find it."""

    plan_id: str
    step_id: int
    action_id: int


class FailureGroup(NamedTuple):
    """Steps in error whose errors are alike; ``plan_ids`` newest first, so many of ``plan_count`` at most.

    ``message`` has placeholders for what differs. Times are of the errors that stand now, not of attempts before.
    """

    key: str
    exception_class: str
    message: str
    action_classes: tuple[str, ...]
    plan_count: int
    step_count: int
    first_at: datetime | None
    last_at: datetime | None
    plan_ids: tuple[str, ...]
    example: FailureExample


class FailureGroups(list[FailureGroup]):
    """Those that concern most plans first.

    ``cut``: there are more failed steps than were looked at, the newest, or more groups than are here.
    """

    def __init__(self, groups: Iterable[FailureGroup], cut: bool) -> None:
        super().__init__(groups)
        self.cut = cut


def grouped(found: FailedSteps, most: int) -> FailureGroups:
    """What was read, by normalised error."""
    by_error: dict[NormalisedError, list[FailedStep]] = {}
    for step in found.steps:
        by_error.setdefault(normalised(step), []).append(step)
    groups = sorted((_group(error, steps) for error, steps in by_error.items()), key=_rank)
    return FailureGroups(groups[:most], found.cut or len(groups) > most)


def normalised(step: FailedStep) -> NormalisedError:
    """What an error has in common with others; those that cannot be read have that."""
    return normalised_error(*beginning_of_error(step.beginning))


def _group(error: NormalisedError, steps: list[FailedStep]) -> FailureGroup:
    plans = tuple(dict.fromkeys(step.plan_id for step in steps))
    times = [step.ended_at for step in steps if step.ended_at is not None]
    newest = max(steps, key=lambda step: step.ended_at or 0)
    return FailureGroup(
        error.key,
        error.exception_class,
        error.message,
        tuple(sorted({step.action_class for step in steps})),
        len(plans),
        len(steps),
        at(min(times, default=None)),
        at(max(times, default=None)),
        plans[:MOST_PLANS_NAMED],
        FailureExample(newest.plan_id, newest.step_id, newest.action_id),
    )


def _rank(group: FailureGroup) -> tuple[int, int, str]:
    return -group.plan_count, -group.step_count, group.key
