"""What a dead world leaves is taken over: its plans end or go on, whoever waits for them hears of it.

lock world-invalidation:X ─▶ X is dead (from now on it writes nothing) ─▶ the plans X holds, a hundred in one
                                                                          transaction; if one is in the way, each:
  a step was running ─▶ that step: error "abnormal termination"; plan paused ─▶ Done to the asker
  none was, or only  ─▶ plan paused, still requested ─▶ Execution under the asker's own request
  idempotent ones, or those that failed are to be skipped
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from sqlalchemy import Connection

from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.coordinator.records import ExecutionLock, WorldInvalidationLock, WorldRecord, owner_of_world
from dynflow_mp.director.abandoned import settle
from dynflow_mp.director.failures import DEFAULT_CONDUCT, Conduct
from dynflow_mp.director.instructions import Answer, DropPlan, HandOver, Instruction
from dynflow_mp.director.protocol import Asker
from dynflow_mp.errors import (
    LockLost,
    LockTaken,
    PersistenceError,
    RecordNotFound,
    RequestError,
    WorldFenced,
)
from dynflow_mp.maintenance.processes_alive import gone
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.messages import Envelope
from dynflow_mp.model.plans import PlanSkeleton
from dynflow_mp.model.states import PlanState
from dynflow_mp.model.writes import Write
from dynflow_mp.persistence.database import PATIENCE_S
from dynflow_mp.persistence.retries import repeated
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.turn_commit import TurnCommit
from dynflow_mp.telemetry import logger

log = logger("maintenance.recovery")

_ORDERS = (Answer, HandOver, DropPlan)
_TOGETHER = 100
"""Plans in one transaction: a commit costs as much as ten plans. Those that were read first go on first."""
_READ_TOGETHER = 10
_MOST_WRITES = 5_000
"""So that many large plans do not make one large transaction."""

Held = Mapping[str, ExecutionLock | None]
"""The lock by plan; None where it is missing."""


class Recovery:
    """Takes over what dead worlds held. Any thread may call it; two worlds never recover the same one at once.

    ``answer`` sends an envelope to whom it names, ``ask`` has an executor run what it asks for,
    ``locks_released`` is told when a dead world's locks can be had.
    """

    def __init__(
        self,
        store: Store,
        coordinator: Coordinator,
        answer: Callable[[Envelope], None],
        ask: Callable[[Envelope], None],
        locks_released: Callable[[], None] = lambda: None,
        conduct: Conduct = DEFAULT_CONDUCT,
    ) -> None:
        self._store, self._coordinator = store, coordinator
        self._answer, self._ask = answer, ask
        self._locks_released = locks_released
        self._conduct = conduct

    def validity_check(self) -> dict[str, str]:
        """Each registered world: ``valid``, or ``invalidated`` where its process is known to be gone."""
        return {
            world.id: self._checked(world)
            for world in self._coordinator.find_worlds()
            if self._is_other(world)
        }

    def _is_other(self, world: WorldRecord) -> bool:
        return world.id != self._coordinator.world_id

    def _checked(self, world: WorldRecord) -> str:
        if not gone(world) and world.state != "dead":
            return "valid"
        try:
            self.invalidate(world.id)
        except LockTaken:
            log.info("world %s is recovered elsewhere", world.id, extra={"action": "recovery_elsewhere"})
        return "invalidated"

    def invalidate(self, world_id: str, lease: int | None = None, *, audit: Audit | None = None) -> int:
        """Declare a world dead and take over what it held; how many plans that was.

        From then on it can write nothing, be it dead or not. With ``lease``, for one of which only silence tells,
        nothing is done if it has another lease by now. Raises :class:`LockTaken` while another world does the same.
        ``audit`` says who wants it, if it is somebody.
        """
        with self._coordinator.holding(WorldInvalidationLock(self._coordinator.world_id, world_id)):
            lived = self._shut_out(world_id, lease, audit)
            if lived is None:
                return 0
            plans = self._plans_of(world_id)
            if audit is not None and plans and not lived:
                self._store.add_audit(audit, self._coordinator.fence)
            left = self._take_over(plans, world_id)
            self._release_other_locks(world_id)
            self._locks_released()
            if not left:
                self._forget_if_gone(world_id)
        if plans:
            log.warning(
                "%d plans of world %s were taken over",
                len(plans) - len(left),
                world_id,
                extra={"action": "world_recovered", "world": world_id},
            )
        return len(plans) - len(left)

    def _shut_out(self, world_id: str, lease: int | None, audit: Audit | None) -> bool | None:
        """First of all, for good: only then is what is read about its plans the last word.

        True: it lived until now; False: it was dead already, or is not registered; None: it has renewed its lease.
        """
        try:
            dead = self._coordinator.set_world_state(
                world_id,
                "dead",
                lambda connection: self._store.add_audit_within(connection, audit),
                lease=lease,
            )
        except RecordNotFound:
            return False  # it cannot write either
        if not dead:
            log.info("world %s speaks again", world_id, extra={"action": "lease_seen", "world": world_id})
            return None
        log.warning("world %s is dead", world_id, extra={"action": "world_dead", "world": world_id})
        return True

    def _plans_of(self, world_id: str) -> dict[str, ExecutionLock | None]:
        """The plans it holds, by its locks, and by their rows should a lock be missing."""
        locks = self._coordinator.find_locks(
            class_name=ExecutionLock.__name__, owner_id=owner_of_world(world_id)
        )
        rows = self._store.find_statuses({"state": PlanState.RUNNING, "owner_id": world_id})
        plans: dict[str, ExecutionLock | None] = dict.fromkeys(rows)
        plans.update((lock.plan_id, lock) for lock in locks if isinstance(lock, ExecutionLock))
        return plans

    def _take_over(self, plans: Held, world_id: str) -> list[str]:
        """Settle them; those that could not be."""
        left: list[str] = []
        waiting = iter(plans.items())
        while batch := dict(islice(waiting, _TOGETHER)):
            left += self._try_together(batch, world_id)
        return left

    def _try_together(self, plans: Held, world_id: str) -> Iterable[str]:
        """Settle them in one transaction, or, where one of them is in the way, each by itself; those that could not be."""
        try:
            self._settle(plans, world_id)
        except WorldFenced:
            raise
        except PersistenceError as error:
            if error.kind == "connection":  # then it is not one of the plans
                log.warning("plans wait for the database: %s", error, extra={"action": "recovery_waits"})
                return plans
            self._tell_of_trouble(error, world_id)
        except Exception as error:
            self._tell_of_trouble(error, world_id)
        else:
            return ()
        return [plan_id for plan_id, lock in plans.items() if not self._try(plan_id, lock, world_id)]

    def _tell_of_trouble(self, error: Exception, world_id: str) -> None:
        log.info(
            "plans of dead world %s are taken over one by one: %s",
            world_id,
            error,
            extra={"action": "recovery_one_by_one"},
        )

    def _try(self, plan_id: str, lock: ExecutionLock | None, world_id: str) -> bool:
        """Whether a plan could be settled; one that cannot be must not keep the others waiting."""
        try:
            self._settle({plan_id: lock}, world_id)
        except WorldFenced:
            raise
        except Exception:
            log.exception(
                "plan %s of dead world %s could not be taken over; it is tried again",
                plan_id,
                world_id,
                extra={"action": "recovery_failed", "plan_id": plan_id},
            )
            return False
        return True

    def _settle(self, plans: Held, world_id: str) -> None:
        """In as few transactions as their sizes allow."""
        decided: dict[str, list[Instruction]] = {}
        size = 0
        for plan_id, found in self._read(plans):
            decided[plan_id] = self._decide(plan_id, found, plans[plan_id], world_id)
            size += len(decided[plan_id])
            if size > _MOST_WRITES:
                self._carry_out(decided, plans, world_id)
                decided, size = {}, 0
        if decided:
            self._carry_out(decided, plans, world_id)

    def _read(self, plan_ids: Iterable[str]) -> Iterator[tuple[str, PlanSkeleton | RequestError]]:
        """As they are stored; a few at a time, for some may be large."""
        waiting = iter(plan_ids)
        while few := list(islice(waiting, _READ_TOGETHER)):
            yield from self._store.load_skeletons(few).items()

    def _carry_out(self, decided: Mapping[str, list[Instruction]], plans: Held, world_id: str) -> None:
        """Write what was decided, let go of the plans, and only then tell and ask."""
        writes = [order for orders in decided.values() for order in orders if not isinstance(order, _ORDERS)]
        written = {write.plan_id for write in cast("Sequence[Write]", writes)}

        locks = [lock for plan_id in decided if (lock := plans[plan_id]) is not None]

        def let_go(connection: Connection, *_: object) -> None:
            for plan_id in decided.keys() - written:
                self._store.disown(connection, plan_id, world_id)
            self._coordinator.release_plans_within(connection, locks)

        settled = TurnCommit(self._store, cast("Sequence[Write]", writes), self._coordinator.fence, let_go)
        lost = repeated(settled.attempt, patience_s=PATIENCE_S)
        for plan_id, orders in decided.items():
            if plan_id in lost:
                continue  # deleted meanwhile: who waits for it finds that out
            for order in orders:
                self._emit(order)

    def _decide(
        self, plan_id: str, found: PlanSkeleton | RequestError, lock: ExecutionLock | None, world_id: str
    ) -> list[Instruction]:
        """What becomes of the plan; nothing for one that only has to be let go."""
        if isinstance(found, RequestError):
            log.error(
                "a plan of dead world %s cannot be read: %s",
                world_id,
                found,
                extra={"action": "recovery_unreadable", "plan_id": plan_id},
            )
            return []
        if found.owner_id != world_id or found.state is not PlanState.RUNNING:
            return []
        return settle(found, _asker(lock), now_us(), self._conduct)

    def _emit(self, order: Any) -> None:
        if isinstance(order, HandOver) and order.request_id:
            self._ask(order.request)
        elif isinstance(order, Answer) and order.client_id:
            own_id = self._coordinator.world_id
            self._answer(Envelope(own_id, order.client_id, order.request_id, order.response))

    def _release_other_locks(self, world_id: str) -> None:
        for lock in self._coordinator.find_locks(owner_id=owner_of_world(world_id)):
            if not isinstance(lock, ExecutionLock):
                try:
                    self._coordinator.release(lock)
                except LockLost:
                    log.debug("%s went by itself", lock, extra={"action": "lock_gone"})

    def _forget_if_gone(self, world_id: str) -> None:
        """While its process may still be there, the record stays for some time: people look at it."""
        if any(gone(world) for world in self._coordinator.find_worlds(id=world_id)):
            self._coordinator.delete_world(world_id)


def _asker(lock: ExecutionLock | None) -> Asker:
    """Who asked for the plan; nobody, where that is not known."""
    if lock is None or lock.client_id is None or lock.request_id is None:
        return Asker("", "")
    return Asker(lock.client_id, lock.request_id)
