"""A turn on its way into the database, however many attempts that takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from sqlalchemy import Connection

from dynflow_mp.failpoints import failpoint
from dynflow_mp.model.states import PlanState
from dynflow_mp.model.writes import SaveOutcome, SavePlan, Write
from dynflow_mp.persistence.database import Fence
from dynflow_mp.persistence.doubtful_turn import was_written
from dynflow_mp.persistence.driver_errors import connection_lost
from dynflow_mp.persistence.store import Store

Follow: TypeAlias = Callable[[Connection, Sequence[Write], frozenset[str]], None]
"""Does what belongs into the turn's transaction; is given the writes, and the plans that are lost."""


class TurnCommit:
    """One turn's transaction, to be attempted until it is through. Of one thread."""

    def __init__(self, store: Store, writes: Sequence[Write], fence: Fence, follow: Follow) -> None:
        self._store, self._writes = store, writes
        self._fence, self._follow = fence, follow
        self._lost: frozenset[str] = frozenset()

    def attempt(self, in_doubt: bool) -> frozenset[str]:
        """Commit it; the plans that are lost. ``in_doubt``: an earlier attempt may have been committed."""
        with self._store.database.write(self._fence) as connection:
            if in_doubt and was_written(connection, self._of_ours()):
                return self._lost
            self._lost = self._store.write_turn(connection, self._writes)
            failpoint("before_release", when=self._releases, raises=connection_lost)
            self._follow(connection, self._writes, self._lost)
            failpoint("before_terminal_commit", when=self._ends_a_plan, raises=connection_lost)
        failpoint("commit_unheard", when=self._has_outcomes, raises=connection_lost)
        return self._lost

    def _of_ours(self) -> list[Write]:
        return [write for write in self._writes if write.plan_id not in self._lost]

    # -- which moment it is, for failpoints --------------------------------------------------------

    def _has_outcomes(self) -> bool:
        return any(isinstance(write, SaveOutcome) for write in self._writes)

    def _releases(self) -> bool:
        return any(isinstance(write, SavePlan) and write.release for write in self._writes)

    def _ends_a_plan(self) -> bool:
        return any(isinstance(write, SavePlan) and write.state is PlanState.STOPPED for write in self._writes)
