"""One turn's writes inside the caller's transaction.

    claims ─▶ hold the other plans' rows, compare epochs ─▶ steps, wave by wave ─▶ payloads ─▶ plans ─▶ events ─▶ sub-plans
              └─ lost plans: nothing of theirs is written

Every step is guarded by its state and attempt; a guard that touches no row ends the turn as
:class:`GuardFailed`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from dynflow_mp.clock import now_us
from dynflow_mp.errors import DamagedData, DynflowError
from dynflow_mp.failpoints import failpoint
from dynflow_mp.model.planned_codec import plan_from_bytes
from dynflow_mp.model.plans import PlannedPlan
from dynflow_mp.model.writes import (
    ClaimPlan,
    MarkRunning,
    MoveStep,
    ResetStep,
    SaveOutcome,
    SavePlan,
    StorePlan,
    UnmarkRunning,
    Write,
)
from dynflow_mp.persistence import new_plans
from dynflow_mp.persistence.culprits import StepsBefore, culprits
from dynflow_mp.persistence.driver_errors import connection_lost
from dynflow_mp.persistence.held_by_plans import give_up_keys, give_up_locks, take_locks
from dynflow_mp.persistence.statements import Row, run_all
from dynflow_mp.persistence.turn_rows import Batch, TurnRows, packed_history
from dynflow_mp.persistence.turn_statements import CLAIM, HOLD_MANY, HOLD_ONE

_CHUNK = 500
_STEP_WRITES = (SaveOutcome, UnmarkRunning, MoveStep, ResetStep, MarkRunning)


class GuardFailed(DynflowError):
    """Rows of these plans are not what the turn took them for; nothing of the turn may be committed."""

    def __init__(self, plan_ids: Iterable[str]) -> None:
        self.plan_ids = frozenset(plan_ids)
        super().__init__(f"rows have changed under {', '.join(sorted(self.plan_ids))}")


def write_turn(connection: Connection, writes: Sequence[Write], steps_before: StepsBefore) -> frozenset[str]:
    """Carry out ``writes``; returns the plans that are lost, of which nothing was written.

    Raises :class:`GuardFailed`, naming the plans, when a row is not what a write took it for.
    """
    claims = [write for write in writes if isinstance(write, ClaimPlan)]
    lost = _claim(connection, claims) if claims else set()
    failpoint("plan_claimed", when=lambda: bool(claims), raises=connection_lost)
    claimed = {claim.plan_id for claim in claims}
    epochs = {write.plan_id: write.epoch for write in writes if not isinstance(write, ClaimPlan)}
    lost |= _hold(connection, {plan: epoch for plan, epoch in epochs.items() if plan not in claimed})
    if lost:
        writes = [write for write in writes if write.plan_id not in lost]
        claims = [claim for claim in claims if claim.plan_id not in lost]
    _take_locks(connection, claims)
    missed = _write(connection, TurnRows(writes).batches())
    if missed:
        step_writes = [write for write in writes if isinstance(write, _STEP_WRITES)]
        raise GuardFailed(culprits(step_writes, steps_before) or missed)
    triggered = [write for write in writes if isinstance(write, StorePlan)]
    if triggered:
        _store(connection, triggered)
    _give_up(connection, [write for write in writes if isinstance(write, SavePlan)])
    return frozenset(lost)


def _store(connection: Connection, triggered: list[StorePlan]) -> None:
    """Sub-plans of steps whose outcomes this turn stores.

    A turn in doubt need not look for them: the outcome's guard tells whether it was carried out.
    """
    now = now_us()
    new_plans.store_triggered(connection, [(_plan_of(write), write.requested_at) for write in triggered], now)


def _plan_of(write: StorePlan) -> PlannedPlan:
    """Raises :class:`GuardFailed`, naming the plan that triggered it, for bytes that are no plan."""
    try:
        return plan_from_bytes(write.plan)
    except DamagedData as error:
        raise GuardFailed([write.plan_id]) from error


def _take_locks(connection: Connection, claims: list[ClaimPlan]) -> None:
    """The locks of singleton classes; a plan that another was quicker than is looked at again."""
    wanted = [(name, claim.plan_id) for claim in claims for name in claim.singletons]
    refused = take_locks(connection, wanted)
    if refused:
        raise GuardFailed(refused)


def _give_up(connection: Connection, saved: list[SavePlan]) -> None:
    if locks := [write.plan_id for write in saved if write.frees_locks]:
        give_up_locks(connection, locks)
    if keys := [write.plan_id for write in saved if write.frees_key]:
        give_up_keys(connection, keys)


def _claim(connection: Connection, claims: list[ClaimPlan]) -> set[str]:
    """Take the plans; those that could not be taken.

    A plan that is this world's at the very epoch the claim makes was taken by the same claim before
    (its commit's answer was lost): that is no loss.
    """
    rows: list[Row] = [
        (
            packed_history(claim.history),
            claim.started_at,
            claim.world_id,
            claim.epoch_read + 1,
            claim.plan_id,
            claim.epoch_read,
        )
        # In the order in which plans are held, too: no two turns wait for each other.
        for claim in sorted(claims, key=lambda claim: claim.plan_id)
    ]
    if CLAIM.run_many(connection, rows) == len(rows):
        return set()
    held = hold_plans(connection, [claim.plan_id for claim in claims])
    return {
        claim.plan_id for claim in claims if held.get(claim.plan_id) != (claim.epoch_read + 1, claim.world_id)
    }


def _hold(connection: Connection, epochs: Mapping[str, int]) -> set[str]:
    """Lock the plans' rows to the end of the transaction; those that have another epoch or no owner."""
    held = hold_plans(connection, list(epochs))
    lost: set[str] = set()
    for plan_id, epoch in epochs.items():
        held_epoch, owner_id = held.get(plan_id, (None, None))
        if held_epoch != epoch or owner_id is None:
            lost.add(plan_id)
    return lost


def hold_plans(connection: Connection, plan_ids: list[str]) -> dict[str, tuple[int, str | None]]:
    """Epoch and owner by plan, the rows locked, always in the same order so that no two turns deadlock."""
    found: list[Any] = []
    if len(plan_ids) == 1:
        found += HOLD_ONE.run(connection, (plan_ids[0],))
    else:
        ordered = sorted(plan_ids)
        for start in range(0, len(ordered), _CHUNK):
            found += connection.execute(HOLD_MANY, {"plan_ids": ordered[start : start + _CHUNK]})
    return {plan_id: (epoch, owner_id) for plan_id, epoch, owner_id in found}


def _write(connection: Connection, batches: list[Batch]) -> set[str]:
    """Execute them; the plans of those batches of which a row that must be touched was not."""
    touched = run_all(connection, [(batch.statement, batch.rows) for batch in batches])
    missed: set[str] = set()
    for batch, number in zip(batches, touched, strict=True):
        if batch.guarded and number != len(batch.rows):
            plan_at = batch.statement.names.index("plan")
            missed |= {row[plan_at] for row in batch.rows}
    return missed
