"""Changing a paused plan by hand: skipping a failed step, editing its input.

read ─▶ decide (director/amending) ─▶ one transaction: fence · claim · what changes · release
 ▲                                                                  │
 └────────── somebody else had the plan in between ─────────────────┘
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.director import amending
from dynflow_mp.director.amending import Amendment
from dynflow_mp.errors import AlreadyRunning
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.plans import PlanSkeleton
from dynflow_mp.model.writes import Write
from dynflow_mp.persistence.database import PATIENCE_S
from dynflow_mp.persistence.inputs import put_input
from dynflow_mp.persistence.retries import repeated
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.turn_commit import TurnCommit

_ATTEMPTS = 5
_NO_LIMIT = 2**40

Also = Callable[[Connection], None]


class Amendments:
    """Changes plans that nobody runs. Any thread may call it."""

    def __init__(self, store: Store, coordinator: Coordinator, max_payload: int) -> None:
        self._store, self._coordinator, self._max_payload = store, coordinator, max_payload

    def skip(self, plan_id: str, step_id: int, audit: Audit | None = None) -> list[int]:
        """Skip a failed step; the ids of all steps that are skipped with it, its own among them.

        ``audit`` says who wants it.
        """
        world_id = self._coordinator.world_id

        def decided(skeleton: PlanSkeleton) -> tuple[Amendment, Also]:
            return amending.skip(skeleton, step_id, world_id, now_us()), self._noted(audit)

        return self._amend(plan_id, decided)

    def edit_input(
        self,
        plan_id: str,
        step_id: int,
        changes: Mapping[str, Any],
        replace: bool,
        audit: Audit | None = None,
    ) -> None:
        """Change keys of a failed step's input, or replace it whole; ``audit`` says who wants it."""
        world_id, noted = self._coordinator.world_id, self._noted(audit)

        def decided(skeleton: PlanSkeleton) -> tuple[Amendment, Also]:
            # Of one moment with what is noted: in the plan's history the two are one.
            amendment = amending.edit(skeleton, step_id, world_id, now_us() if audit is None else audit.time)
            edited = self._edited(skeleton, skeleton.steps.action_id(step_id), changes, replace)

            def also(connection: Connection) -> None:
                edited(connection)
                noted(connection)

            return amendment, also

        self._amend(plan_id, decided)

    def _noted(self, audit: Audit | None) -> Also:
        return lambda connection: self._store.add_audit_within(connection, audit)

    def _edited(
        self, skeleton: PlanSkeleton, action_id: int, changes: Mapping[str, Any], replace: bool
    ) -> Also:
        """How the action's input becomes what it is to be; references at keys that are not changed stay."""
        (action,) = self._store.load_actions(skeleton.id, [action_id])
        stored = [] if action.references is None else decode(action.references)
        kept = [] if replace else [one for one in stored if one[0][0] not in changes]
        values = dict(changes) if replace else {**decode(action.input), **changes}
        data = encode(values, "input", self._max_payload)
        references = encode(kept, "references", _NO_LIMIT) if kept else None
        producers = tuple(dict.fromkeys(made_by for _, _, made_by, _ in kept))

        def write(connection: Connection) -> None:
            put_input(connection, skeleton.id, action_id, data, references, producers)

        return write

    def _amend(self, plan_id: str, decided: Callable[[PlanSkeleton], tuple[Amendment, Also]]) -> list[int]:
        for _ in range(_ATTEMPTS):
            amendment, also = decided(self._store.load_skeleton(plan_id))
            if not self._commit(amendment.writes, also):
                return amendment.step_ids
        raise AlreadyRunning(f"plan {plan_id} is taken by others again and again", plan_id)

    def _commit(self, writes: Sequence[Write], also: Also) -> frozenset[str]:
        def follow(connection: Connection, written: Sequence[Write], lost: frozenset[str]) -> None:
            self._coordinator.follow_turn(connection, written, lost)
            if not lost:
                also(connection)

        turn = TurnCommit(self._store, writes, self._coordinator.fence, follow)
        return repeated(turn.attempt, patience_s=PATIENCE_S)
