"""A turn's writes, in one transaction – or plan by plan when one plan's rows cannot be written.

all at once ─┬─ written
             ├─ a guard refused some plans ─▶ again without them
             ├─ the database is away ─▶ again, later and later
             └─ another error ─▶ each plan by itself; those that fail are lost
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from dynflow_mp.coordinator.coordinator import Coordinator
from dynflow_mp.errors import PersistenceError
from dynflow_mp.model.writes import Write
from dynflow_mp.persistence.retries import repeated
from dynflow_mp.persistence.store import GuardFailed, Store
from dynflow_mp.persistence.turn_commit import TurnCommit
from dynflow_mp.telemetry import logger

log = logger("executor.ledger")

_IN_LINE_S = 0.0002
"""Who waited longer to write was not alone: going through takes a hundredth of a millisecond."""
_MOST_COURTESY_S = 0.005


class Ledger:
    """Writes turns. Owned by the core's thread; ``while_waiting`` is called between attempts."""

    def __init__(self, store: Store, coordinator: Coordinator, while_waiting: Callable[[], None]) -> None:
        self._store = store
        self._coordinator = coordinator
        self._while_waiting = while_waiting

    @property
    def courtesy_s(self) -> float:
        """How long to let others write before the next turn (seconds).

        On SQLite one commit follows another. A client that stores many plans stands in line behind a turn for
        each of them, and a turn that waits a little has more to commit.
        """
        waited_s = self._store.database.waited_s
        return min(2 * waited_s, _MOST_COURTESY_S) if waited_s > _IN_LINE_S else 0.0

    def write(self, writes: Sequence[Write], patience_s: float) -> frozenset[str]:
        """Commit ``writes``; returns the plans that are lost (none of their writes is stored).

        Raises :class:`WorldFenced` when this world was declared dead, :class:`PersistenceError`
        when the database stayed away for longer than ``patience_s``.
        """
        lost: frozenset[str] = frozenset()
        while True:
            left = [write for write in writes if write.plan_id not in lost] if lost else writes
            try:
                return lost | self._commit(left, patience_s)
            except GuardFailed as refused:
                lost |= refused.plan_ids
            except PersistenceError as error:
                if error.passes:
                    raise
                return lost | self._one_by_one(left, error, patience_s)

    def release(self, plan_id: str) -> None:
        """Give up the lock of a plan that is gone. If that fails, the lock stays: it is in nobody's way."""
        try:
            self._coordinator.release_plan(plan_id)
        except PersistenceError as error:
            log.warning(
                "the lock of a plan that is gone could not be released",
                extra={"action": "lock_left", "plan_id": plan_id},
                exc_info=error,
            )

    def disown(self, plan_id: str) -> None:
        """Give up a plan that makes no sense: it is left paused, with an error, for people to look at."""

        def let_go(connection: Connection, _in_doubt: bool) -> None:
            self._store.disown(connection, plan_id, self._coordinator.world_id)
            self._coordinator.release_plan_within(connection, plan_id)

        try:
            self._store.database.change(let_go, self._coordinator.fence)
        except PersistenceError as error:
            log.error(
                "plan %s could not be given up: it stays this world's until that ends",
                plan_id,
                extra={"action": "lock_left", "plan_id": plan_id},
                exc_info=error,
            )

    def _commit(self, writes: Sequence[Write], patience_s: float) -> frozenset[str]:
        if not writes:
            return frozenset()
        turn = TurnCommit(self._store, writes, self._coordinator.fence, self._coordinator.follow_turn)
        return repeated(
            turn.attempt, patience_s=patience_s, kinds=PersistenceError.PASSING, before_pause=self._wait
        )

    def _wait(self, error: PersistenceError) -> None:
        log.warning(
            "the database does not take this turn, trying again",
            extra={"action": "turn_retry"},
            exc_info=error,
        )
        self._while_waiting()

    def _one_by_one(
        self, writes: Sequence[Write], cause: PersistenceError, patience_s: float
    ) -> frozenset[str]:
        """So that one bad row cannot sink the other plans' turn (decisions.md 4)."""
        log.error(
            "a turn was refused, writing it plan by plan",
            extra={"action": "turn_split"},
            exc_info=cause,
        )
        by_plan: dict[str, list[Write]] = {}
        for write in writes:
            by_plan.setdefault(write.plan_id, []).append(write)
        lost: set[str] = set()
        for plan_id, own in by_plan.items():
            try:
                lost |= self._commit(own, patience_s)
            except (GuardFailed, PersistenceError) as error:
                if isinstance(error, PersistenceError) and error.passes:
                    raise
                log.error(
                    "a plan's writes were refused",
                    extra={"action": "plan_refused", "plan_id": plan_id},
                    exc_info=error,
                )
                lost.add(plan_id)
        return frozenset(lost)
