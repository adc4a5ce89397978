"""Stopping a plan that nobody runs: taken, decided about and given up, all in one transaction.

who wants it halted ─▶ the plan as it is stored ─▶ director ─▶ claim · events dropped · stopped
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import cast

from sqlalchemy import Connection

from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.director.abandoned import halt
from dynflow_mp.director.instructions import Answer, DropPlan, EndSubPlans, Instruction
from dynflow_mp.errors import InvalidPlan, LockTaken
from dynflow_mp.maintenance.processes_alive import gone
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.messages import Envelope
from dynflow_mp.model.states import PlanState
from dynflow_mp.model.writes import ClaimPlan, Write
from dynflow_mp.persistence.database import PATIENCE_S
from dynflow_mp.persistence.retries import repeated
from dynflow_mp.persistence.store import GuardFailed, Store
from dynflow_mp.persistence.turn_commit import TurnCommit

_ORDERS = (Answer, DropPlan, EndSubPlans)


class UnownedPlans:
    """Any thread may call it.

    ``answer`` sends an envelope to whom it names, ``invalidate`` takes over what a dead world has, ``end_sub_plans``
    ends those that a halted plan holds back.
    """

    def __init__(
        self,
        store: Store,
        coordinator: Coordinator,
        answer: Callable[[Envelope], None],
        invalidate: Callable[[str], object],
        end_sub_plans: Callable[[EndSubPlans], object] = lambda order: None,
    ) -> None:
        self._store, self._coordinator = store, coordinator
        self._answer, self._invalidate = answer, invalidate
        self._end_sub_plans = end_sub_plans

    def halt(self, plan_id: str, audit: Audit | None = None) -> bool:
        """Stop a plan; False if somebody has it, or took it meanwhile. Of one that is stopped: True.

        One that cannot be read is stopped all the same. ``audit`` says who wants it. Raises :class:`PlanNotFound`.
        """
        try:
            skeleton = self._store.load_skeleton(plan_id)
        except InvalidPlan:
            return self._store.stop_unreadable(plan_id, now_us(), self._coordinator.fence, audit)
        if skeleton.state is PlanState.STOPPED:
            return True
        if skeleton.owner_id is not None:
            self._take_from_the_dead(skeleton.owner_id)
            return False
        instructions = halt(skeleton, self._coordinator.world_id, now_us())
        writes = [self._as_ours(order) for order in instructions if not isinstance(order, _ORDERS)]
        if not self._commit(writes, audit):
            return False
        for order in instructions:
            if isinstance(order, Answer) and order.client_id:
                own_id = self._coordinator.world_id
                self._answer(Envelope(own_id, order.client_id, order.request_id, order.response))
            elif isinstance(order, EndSubPlans):
                self._end_sub_plans(order)
        return True

    def _take_from_the_dead(self, world_id: str) -> None:
        """A plan of a world whose process is known to be gone is nobody's, once that is settled."""
        worlds = self._coordinator.find_worlds(id=world_id)
        if worlds and not (worlds[0].state == "dead" or gone(worlds[0])):
            return
        with suppress(LockTaken):  # somebody is at it
            self._invalidate(world_id)

    def _as_ours(self, order: Instruction) -> Write:
        """The claim under a name that is nobody's.

        A claim of the same world at the same epoch is taken for the same claim – and this world's own core may
        be taking the plan just now.
        """
        write = cast("Write", order)
        if isinstance(write, ClaimPlan):
            return write._replace(world_id=f"{write.world_id}-{secrets.token_hex(4)}")
        return write

    def _commit(self, writes: list[Write], audit: Audit | None) -> bool:
        def follow(connection: Connection, written: Sequence[Write], lost: frozenset[str]) -> None:
            self._follow(connection, written, lost)
            if not lost:
                self._store.add_audit_within(connection, audit)

        turn = TurnCommit(self._store, writes, self._coordinator.fence, follow)
        try:
            return not repeated(turn.attempt, patience_s=PATIENCE_S)
        except GuardFailed:
            return False

    def _follow(self, connection: Connection, writes: Sequence[Write], lost: frozenset[str]) -> None:
        # No lock record: taken and given up in the same transaction.
        for plan_id in {write.plan_id for write in writes} - lost:
            self._store.forget_delay(connection, plan_id)
