"""One step as people see it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from dynflow_mp.actions.registry import short_name
from dynflow_mp.errors import DamagedData
from dynflow_mp.model.codec import decode
from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.reading.recorded_error import RecordedError

if TYPE_CHECKING:
    from dynflow_mp.actions.action import Action
    from dynflow_mp.persistence.rows import AttemptRow, StepRow
    from dynflow_mp.reading.execution_plan import ExecutionPlan

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DONE = (StepState.SUCCESS, StepState.SKIPPED)


class AttemptSource(Protocol):
    """Where the failed attempts of steps are read from."""

    def load_attempts(self, plan_id: str, step_id: int | None = None) -> list[AttemptRow]: ...


class FailedAttempt(NamedTuple):
    """One call of a step that did not succeed; ``number`` counts all calls of the step from 1.

    0 is the number of an error that came before the step was ever called.
    """

    number: int
    error: RecordedError | None
    ended_at: datetime | None
    execution_time: float


class Step:
    """One phase of one action, as it was stored when the plan was read."""

    __slots__ = ("_row", "_source")

    def __init__(self, row: StepRow, source: AttemptSource) -> None:
        self._row, self._source = row, source

    @property
    def id(self) -> int:
        return self._row.id

    @property
    def execution_plan_id(self) -> str:
        return self._row.execution_plan_id

    @property
    def phase(self) -> Phase:
        return self._row.phase

    @property
    def state(self) -> StepState:
        return self._row.state

    @property
    def action_id(self) -> int:
        return self._row.action_id

    @property
    def action_class(self) -> str:
        """The class's own name, without its module."""
        return short_name(self._row.action_class)

    @property
    def action_class_name(self) -> str:
        """The name the class is stored under, with its module."""
        return self._row.action_class

    @property
    def queue(self) -> str | None:
        return self._row.queue

    @property
    def attempts(self) -> int:
        """How many times the step was begun."""
        return self._row.attempts

    @property
    def worker_pid(self) -> int | None:
        """The process that ran it last, on its executor's host; None if that is not known, or it has not ended yet."""
        return self._row.worker_pid

    @property
    def error(self) -> RecordedError | None:
        """Why it failed last; None again once a later attempt succeeded."""
        data = self._row.error
        return None if data is None else RecordedError.from_bytes(data)

    @property
    def failed_attempts(self) -> list[FailedAttempt]:
        """Every attempt that failed, in order, each with its error; also of a step that succeeded at last."""
        rows = self._source.load_attempts(self.execution_plan_id, self.id)
        return [
            FailedAttempt(
                row.attempt,
                None if row.error is None else RecordedError.from_bytes(row.error),
                at(row.ended_at),
                row.execution_time,
            )
            for row in rows
        ]

    @property
    def retries(self) -> int:
        """How often it was tried again by its retry policy since it was last started anew."""
        return self._row.retries or 0

    @property
    def crashes(self) -> int:
        """How often a crash interrupted it, and it is idempotent, since it was last started anew."""
        return self._row.crashes or 0

    @property
    def due_at(self) -> datetime | None:
        """When it is tried again, while it waits for that."""
        return at(self._row.due_at) if self.state is StepState.PENDING else None

    @property
    def children(self) -> list[int]:
        """Of a plan step: the plan steps of the actions it planned, in order."""
        data = self._row.children
        found = [] if data is None else decode(data)
        if not isinstance(found, list) or not all(type(one) is int for one in found):
            raise DamagedData(f"the children of step {self.id} are no list of steps")
        return found

    @property
    def started_at(self) -> datetime | None:
        return at(self._row.started_at)

    @property
    def ended_at(self) -> datetime | None:
        return at(self._row.ended_at)

    @property
    def execution_time(self) -> float:
        """Seconds spent in the action's code, all attempts and wake-ups together."""
        return self._row.execution_time

    @property
    def real_time(self) -> float:
        """Seconds from its first start to its last end."""
        return self._row.real_time

    @property
    def progress_done(self) -> float:
        """How much is done, from 0 to 1."""
        if self.state in _DONE:
            return 1.0
        return 0.0 if self.state is StepState.PENDING else self._row.progress_done

    @property
    def progress_weight(self) -> float:
        """How much it counts in the plan's progress."""
        return self._row.progress_weight

    def action(self, plan: ExecutionPlan) -> Action:
        """The action this step is a phase of."""
        return plan.action(self.action_id)

    def __repr__(self) -> str:
        return f"<{self.phase} step {self.id} of {self.action_class}: {self.state}>"


def at(microseconds: int | None) -> datetime | None:
    """A stored time as an aware ``datetime``; None also for a number that is no time of any calendar."""
    if microseconds is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None
