"""Joins what steps did with what the database says, and names everything that cannot be.

C1 acknowledged plan absent            C6 success without an end of that attempt
C2 plan neither ended nor paused       C7 a step began before those it comes after had succeeded
C3 begun again after its success       C8 locks, events, calls left in the database
C4 one step in two places at once      C9 processes, sockets, files left on the machine
C5 begun more often than recorded      C10 what was moved does not add up
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from chaos.effects import Effect

StepKey = tuple[str, int]


class StepFacts(NamedTuple):
    """What the database says about a step whose effects are written down."""

    phase: str
    state: str
    attempts: int
    failed: frozenset[int] = frozenset()
    """Attempts that are recorded as not successful."""
    after: frozenset[int] = frozenset()
    """Steps that must have succeeded before it begins; only those whose effects are written down."""


class PlanFacts(NamedTuple):
    """What the database says about a plan."""

    state: str
    result: str
    steps: Mapping[int, StepFacts]


class History(NamedTuple):
    """Everything known after a campaign, when nothing moves any more."""

    acknowledged: frozenset[str]
    """Plans whose ``trigger`` returned to a client that lived to write it down."""
    plans: Mapping[str, PlanFacts]
    effects: Sequence[Effect]
    rows_left: Sequence[str] = ()
    things_left: Sequence[str] = ()
    moves_must_cancel: bool = True
    """Whether every transfer has ended well, so that all entries together come to nothing."""


class Violation(NamedTuple):
    """Something that cannot be."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


def violations(history: History) -> list[Violation]:
    """All that is wrong; nothing, where everything holds."""
    calls = _Calls(history.effects)
    return [found for check in _CHECKS for found in check(history, calls)]


def doubled(history: History) -> int:
    """How many steps were begun although they had succeeded, twice for one attempt, or in two places at once."""
    return len({found.what for found in violations(history) if found.rule in ("C3", "C4", "C5")})


class _Calls:
    """The effects by step."""

    def __init__(self, effects: Sequence[Effect]) -> None:
        self.starts: dict[StepKey, list[Effect]] = defaultdict(list)
        self.ends: dict[StepKey, list[Effect]] = defaultdict(list)
        self.overlaps: list[Effect] = []
        self.entries: list[Effect] = []
        for effect in effects:
            key = (effect.plan, effect.step)
            if effect.event == "start":
                self.starts[key].append(effect)
            elif effect.event == "end":
                self.ends[key].append(effect)
            elif effect.event == "overlap":
                self.overlaps.append(effect)
            else:
                self.entries.append(effect)

    def done_at(self, key: StepKey, attempt: int) -> int | None:
        """When that attempt came to its good end."""
        ends = [end for end in self.ends[key] if end.attempt == attempt and end.how == "done"]
        return ends[0].at_ns if ends else None


def _c1(history: History, calls: _Calls) -> Iterator[Violation]:
    for plan in sorted(history.acknowledged - history.plans.keys()):
        yield Violation("C1", f"plan {plan} was acknowledged and is not in the database")


def _c2(history: History, calls: _Calls) -> Iterator[Violation]:
    for plan, facts in history.plans.items():
        if facts.state != "stopped" and (facts.state, facts.result) != ("paused", "error"):
            yield Violation("C2", f"plan {plan} is {facts.state}, its result {facts.result}")


def _c3(history: History, calls: _Calls) -> Iterator[Violation]:
    for key, step in _run_steps(history):
        if step.state != "success":
            continue
        done_at = calls.done_at(key, step.attempts)
        for start in calls.starts[key]:
            if start.attempt > step.attempts or (done_at is not None and start.at_ns > done_at):
                yield Violation("C3", f"{_named(start)} began after the step had succeeded")


def _c4(history: History, calls: _Calls) -> Iterator[Violation]:
    for effect in calls.overlaps:
        yield Violation("C4", f"{_named(effect)} began while another process was inside")
    for key, starts in calls.starts.items():
        spans = sorted(_spans(starts, calls.ends[key]))
        for (_, end_ns, one), (begin_ns, _, other) in pairwise(spans):
            if begin_ns < end_ns:
                yield Violation("C4", f"{_named(other)} began before {_named(one)} had ended")


def _spans(starts: list[Effect], ends: list[Effect]) -> Iterator[tuple[int, int, Effect]]:
    """From start to end; of what was killed in between the locks tell (``overlap``)."""
    ended = {(end.attempt, end.pid): end.at_ns for end in ends}
    for start in starts:
        end_ns = ended.get((start.attempt, start.pid))
        if end_ns is not None:
            yield start.at_ns, end_ns, start


def _c5(history: History, calls: _Calls) -> Iterator[Violation]:
    for (plan, step_id), starts in calls.starts.items():
        facts = history.plans.get(plan)
        step = None if facts is None else facts.steps.get(step_id)
        if step is None:
            yield Violation("C5", f"step {step_id} of plan {plan} began and is not in the database")
            continue
        if step.phase == "finalize":
            yield from _finalized_too_often(plan, step_id, len(starts), history.plans[plan])
            continue
        times = Counter(start.attempt for start in starts)
        for attempt, number in sorted(times.items()):
            where = f"attempt {attempt} of step {step_id} of plan {plan}"
            if number > 1:
                yield Violation("C5", f"{where} began {number} times")
            if attempt > step.attempts:
                yield Violation("C5", f"{where} began and only {step.attempts} are recorded")
            if not _accounted_for((plan, step_id), attempt, step, calls):
                yield Violation("C5", f"{where} began and what came of it is not recorded")


def _finalized_too_often(plan: str, step_id: int, starts: int, facts: PlanFacts) -> Iterator[Violation]:
    """The phase is one job and starts over as a whole, which is not counted for each part of it: but it starts over only
    after an attempt that failed, and one part of it says so."""
    failed = sum(len(step.failed) for step in facts.steps.values() if step.phase == "finalize")
    if starts > 1 + failed:
        what = f"finalize step {step_id} of plan {plan} began {starts} times after {failed} failures"
        yield Violation("C5", what)


def _accounted_for(key: StepKey, attempt: int, step: StepFacts, calls: _Calls) -> bool:
    """The last attempt is the row's own state; earlier ones failed, which is recorded, or suspended."""
    if attempt >= step.attempts or attempt in step.failed:
        return True
    return any(end.attempt == attempt and end.how == "suspended" for end in calls.ends[key])


def _c6(history: History, calls: _Calls) -> Iterator[Violation]:
    for key, step in _steps(history):
        if step.state == "success" and calls.done_at(key, step.attempts) is None:
            yield Violation(
                "C6", f"step {key[1]} of plan {key[0]} succeeded, attempt {step.attempts} of it did not end"
            )


def _c7(history: History, calls: _Calls) -> Iterator[Violation]:
    for (plan, step_id), step in _run_steps(history):
        for start in calls.starts[(plan, step_id)]:
            for before in step.after:
                ends = [end.at_ns for end in calls.ends[(plan, before)] if end.how == "done"]
                if not ends or min(ends) > start.at_ns:
                    yield Violation("C7", f"{_named(start)} began before step {before} had succeeded")


def _c8(history: History, calls: _Calls) -> Iterator[Violation]:
    for row in history.rows_left:
        yield Violation("C8", f"left in the database: {row}")


def _c9(history: History, calls: _Calls) -> Iterator[Violation]:
    for thing in history.things_left:
        yield Violation("C9", f"left on the machine: {thing}")


def _c10(history: History, calls: _Calls) -> Iterator[Violation]:
    """Entries have the key of their step: one made again by a crash counts once."""
    entries = {(entry.plan, entry.step): int(entry.how.split()[1]) for entry in calls.entries}
    balance = sum(entries.values())
    if balance and history.moves_must_cancel:
        yield Violation("C10", f"the accounts together hold {balance} instead of nothing")


_CHECKS = (_c1, _c2, _c3, _c4, _c5, _c6, _c7, _c8, _c9, _c10)


def _steps(history: History) -> Iterator[tuple[StepKey, StepFacts]]:
    for plan, facts in history.plans.items():
        for step_id, step in facts.steps.items():
            yield (plan, step_id), step


def _run_steps(history: History) -> Iterator[tuple[StepKey, StepFacts]]:
    """A finalize phase starts over as a whole when its plan is resumed, so there success is not the last word."""
    return ((key, step) for key, step in _steps(history) if step.phase == "run")


def _named(effect: Effect) -> str:
    return f"attempt {effect.attempt} of step {effect.step} of plan {effect.plan} (process {effect.pid})"
