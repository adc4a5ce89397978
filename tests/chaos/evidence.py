"""What the database says, as the history checker wants it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, select, true

from chaos import effects
from chaos.history import History, PlanFacts, StepFacts
from dynflow_mp.coordinator.records import plan_lock_id
from dynflow_mp.model.flows import Flow, Sequence, step_ids
from dynflow_mp.persistence.tables import coordinator_records, delayed_plans, events, hook_calls, unique_keys

UNWATCHED = {"Pair", "Transfer", "Wide", "Parent", "Finalized"}
"""Classes whose run, if there is one, writes no effects down."""
_PASSING = (
    (events, events.c.taken_at.is_(None)),  # those that were taken are remembered as long as their plan
    (hook_calls, true()),
    (delayed_plans, true()),
    (unique_keys, true()),
)
_LEADERS = "DelayedExecutorLock"
"""Held by a living executor as long as it lives."""


def facts_of(plan: Any) -> PlanFacts:
    """One plan as the checker sees it."""
    before = dict(predecessors(plan.run_flow)) if plan.run_steps else {}
    watched = {step.id for step in (*plan.run_steps, *plan.finalize_steps) if _is_watched(step)}
    steps = {
        step_id: StepFacts(
            str(step.phase),
            str(step.state),
            step.attempts,
            frozenset(failed.number for failed in step.failed_attempts),
            frozenset(before.get(step_id, ())) & watched,
        )
        for step_id, step in plan.steps.items()
        if step_id in watched
    }
    return PlanFacts(str(plan.state), str(plan.result), steps)


def _is_watched(step: Any) -> bool:
    return str(step.phase) == "finalize" or step.action_class not in UNWATCHED


def predecessors(flow: Flow) -> Iterator[tuple[int, frozenset[int]]]:
    """For each step those that stand somewhere before it in the same sequences."""
    yield from _within(flow, frozenset())


def _within(flow: Flow, before: frozenset[int]) -> Iterator[tuple[int, frozenset[int]]]:
    if isinstance(flow, int):
        yield flow, before
        return
    for part in flow:
        yield from _within(part, before)
        if isinstance(flow, Sequence):
            before |= frozenset(step_ids(part))


def all_plans(world: Any) -> list[Any]:
    """Every plan there is, read whole."""
    return [world.persistence.load_execution_plan(plan_id) for plan_id in world.persistence.find_statuses()]


def gathered(
    world: Any, where: Path, acknowledged: Collection[str], things_left: Collection[str] = ()
) -> History:
    """All there is to know after a campaign, when nothing moves any more."""
    plans = {plan.id: facts_of(plan) for plan in all_plans(world)}
    all_ended_well = all((plan.state, plan.result) == ("stopped", "success") for plan in plans.values())
    return History(
        frozenset(acknowledged),
        plans,
        effects.read(where),
        rows_left(world.config.database_url),
        tuple(things_left),
        all_ended_well,
    )


def about(world: Any, where: Path, plan_id: str, acknowledged: bool = True) -> History:
    """What there is to know about one plan while others may go on."""
    plan = world.persistence.load_execution_plan(plan_id)
    held = [str(lock) for lock in world.coordinator.find_locks(id=plan_lock_id(plan_id))]
    return History(
        frozenset({plan_id} if acknowledged else ()),
        {plan_id: facts_of(plan)},
        [effect for effect in effects.read(where) if effect.plan == plan_id],
        held,
    )


def rows_left(url: str) -> tuple[str, ...]:
    """Rows that are there only while something is under way."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            found = [
                f"{table.name}: {tuple(row)}"
                for table, there in _PASSING
                for row in connection.execute(select(table.c.execution_plan_id).where(there))
            ]
            locks = select(coordinator_records.c["class"], coordinator_records.c.id).where(
                coordinator_records.c.owner_id.is_not(None), coordinator_records.c["class"] != _LEADERS
            )
            return (*found, *(f"lock: {tuple(row)}" for row in connection.execute(locks)))
    finally:
        engine.dispose()
