"""Who is there, what waits for whom, and which plans will not go on by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dynflow_mp.cli.doctor.finding import NOTE, OK, WRONG, Finding
from dynflow_mp.cli.words import span
from dynflow_mp.clock import now_us
from dynflow_mp.errors import RequestError
from dynflow_mp.model.states import PlanState, Result

if TYPE_CHECKING:
    from dynflow_mp.cli.opening import Look
    from dynflow_mp.coordinator.records import WorldRecord

_WORLDS, _PLANS = "worlds", "plans"
_PATIENCE_S = 30.0
"""So long a plan may wait for an executor before something is wrong."""
_MOST = 500
_NAMED, _ASKED, _REASONS = 5, 20, 3


def worlds_and_plans(look: Look) -> Iterator[Finding]:
    """All of it, from what is stored: nobody is asked."""
    from dynflow_mp.maintenance.processes_alive import gone

    records = look.coordinator.find_worlds()
    lost = [record for record in records if record.state != "dead" and gone(record)]
    living = [record for record in records if record.state == "alive" and record not in lost]
    executors = [record for record in living if record.executor]
    yield from _worlds(records, living, lost)
    yield from _counts(look)
    yield from _unowned(look, records, lost)
    yield from _waiting(look, executors)
    yield from _overdue(look, executors)
    yield from _paused(look)


def _worlds(
    records: Sequence[WorldRecord], living: Sequence[WorldRecord], lost: Sequence[WorldRecord]
) -> Iterator[Finding]:
    executors = [record for record in living if record.executor]
    dead = sum(record.state == "dead" for record in records)
    value = f"{_many(len(executors), 'executor')}, {_many(len(living) - len(executors), 'client')} alive"
    if dead:
        value += f", {dead} dead"
    level = OK if executors else NOTE
    advice = "" if executors else "dynflow-mp supervisor --workers N --app MODULE"
    yield Finding(_WORLDS, "registered", value, level, "" if executors else "nobody runs plans", advice)
    for record in lost:
        kind = "executor" if record.executor else "client"
        what = f"the process of this {kind} is gone, and nobody has noticed yet"
        yield Finding(_WORLDS, record.id, "gone", WRONG, what, "dynflow-mp worlds check takes its plans over")
    for record in executors:
        if record.degraded is not None:
            what = f"it takes no new plans: {record.degraded}"
            advice = f"see why its workers die: its log, and dynflow-mp worlds workers {record.id}"
            yield Finding(_WORLDS, record.id, "degraded", WRONG, what, advice)


def _counts(look: Look) -> Iterator[Finding]:
    counts = {state: look.library.count_execution_plans({"state": state.value}) for state in PlanState}
    told = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
    yield Finding(_PLANS, "stored", told or "none")


def _unowned(look: Look, records: Sequence[WorldRecord], lost: Sequence[WorldRecord]) -> Iterator[Finding]:
    """Plans that run in a world that is not there."""
    there = {record.id for record in records if record.state != "dead"} - {record.id for record in lost}
    running = look.library.find_statuses({"state": PlanState.RUNNING.value})
    left = [plan_id for plan_id, status in running.items() if status.owner_id not in there]
    if left:
        what = f"{_many(len(left), 'plan')} of worlds that are not there: {_ids(left)}{_why(look, left)}"
        advice = "an executor takes them over by itself; without one: dynflow-mp worlds check"
        yield Finding(_PLANS, "running for nobody", f"{len(left):,}", WRONG, what, advice)


def _waiting(look: Look, executors: Sequence[WorldRecord]) -> Iterator[Finding]:
    """Plans that somebody wants to run and no executor has taken."""
    now = now_us()
    asked = look.store.requested_plans(_MOST)
    waited = {status.id: (now - (status.requested_at or now)) / 1_000_000 for status in asked}
    late = [plan_id for plan_id, seconds in waited.items() if seconds > _PATIENCE_S]
    if not late:
        return
    many = f"{len(late):,}{' or more' if len(asked) == _MOST else ''}"
    what = (
        f"no executor has taken them for up to {span(max(waited.values()))}: {_ids(late)}{_why(look, late)}"
    )
    if not executors:
        advice = "start one: dynflow-mp supervisor --workers N --app MODULE"
    elif all(record.degraded for record in executors):
        advice = "all executors are degraded, see above"
    else:
        advice = f"dynflow-mp plans why {late[0]} says what it waits for; dynflow-mp worlds ping who answers"
    yield Finding(_PLANS, "waiting for an executor", many, WRONG, what, advice)


def _overdue(look: Look, executors: Sequence[WorldRecord]) -> Iterator[Finding]:
    """Scheduled plans whose time has come, and that nobody plans."""
    from dynflow_mp.persistence.schedule import Schedule

    patience_s = look.config.delayed_poll_s + _PATIENCE_S
    due = Schedule(look.database).due(now_us() - int(patience_s * 1_000_000), _MOST)
    if not due:
        return
    ids = [plan.id for plan in due]
    what = f"their time to start has passed by {span(patience_s)} and more: {_ids(ids)}{_why(look, ids)}"
    advice = (
        "one executor has scheduled plans planned: dynflow-mp worlds locks shows which (DelayedExecutorLock)"
        if executors
        else "start an executor: dynflow-mp supervisor --workers N --app MODULE"
    )
    yield Finding(_PLANS, "scheduled and overdue", f"{len(due):,}", WRONG, what, advice)


def _paused(look: Look) -> Iterator[Finding]:
    """They wait for people, which is as it should be; somebody should know."""
    paused = {"state": PlanState.PAUSED.value}
    failed = look.library.count_execution_plans({**paused, "result": Result.ERROR.value})
    if failed:
        what = "failed steps wait for somebody who resumes or skips them"
        yield Finding(_PLANS, "paused with an error", f"{failed:,}", NOTE, what, "dynflow-mp plans failures")
    left = look.library.find_statuses({**paused, "result": Result.PENDING.value})
    idle = [plan_id for plan_id, status in left.items() if status.requested_at is None]
    if idle:
        what = f"nobody has asked for them to go on: {_ids(idle)}"
        yield Finding(
            _PLANS, "paused without an error", f"{len(idle):,}", NOTE, what, "dynflow-mp plans resume ID"
        )


def _why(look: Look, plan_ids: Sequence[str]) -> str:
    """What the first of them say for themselves, each reason once."""
    reasons: dict[str, None] = {}
    for plan_id in plan_ids[:_ASKED]:
        try:
            reasons.update((wait.sentence, None) for wait in look.why_waiting(plan_id)[:1])
        except RequestError:  # gone meanwhile, or it cannot be read
            continue
    return "".join(f"; it {reason}" for reason in list(reasons)[:_REASONS])


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _ids(plan_ids: Sequence[str]) -> str:
    more = len(plan_ids) - _NAMED
    return ", ".join(plan_ids[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
