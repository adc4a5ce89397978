"""A turn's writes as rows of parameters, sorted by statement.

Writes are grouped by kind, each kind one statement for all its rows. A step that is written twice in a
turn (stored as suspended, then marked running again) has its second write in a later wave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from dynflow_mp.model.codec import encode_own
from dynflow_mp.model.plans import HistoryEntry
from dynflow_mp.model.states import StepState
from dynflow_mp.model.writes import (
    AddChunks,
    ForgetEvents,
    MarkEventsTaken,
    MarkRunning,
    MoveStep,
    NoteHooks,
    PostEvent,
    RecordEvent,
    RequestPlan,
    ResetStep,
    SaveOutcome,
    SavePlan,
    UnmarkRunning,
    Write,
)
from dynflow_mp.persistence import turn_statements as statements
from dynflow_mp.persistence.culprits import Step
from dynflow_mp.persistence.hook_rows import NOTE_HOOKS, hook_row
from dynflow_mp.persistence.statements import Row, Statement

_OUTCOME_RANK, _UNMARK_RANK, _MOVE_RANK, _RESET_RANK, _MARK_RANK = range(5)
_RANKS = 5


class Batch(NamedTuple):
    """One statement's rows. ``guarded``: each must touch a row."""

    statement: Statement
    rows: list[Row]
    guarded: bool


class _Wave:
    """Rows of steps of which no two concern the same step in the wrong order."""

    __slots__ = ("marks", "moves", "outcomes", "resets", "unmarks")

    def __init__(self) -> None:
        self.outcomes: list[Row] = []
        self.unmarks: list[Row] = []
        self.moves: list[Row] = []
        self.resets: list[Row] = []
        self.marks: list[Row] = []

    def batches(self) -> Iterator[Batch]:
        """In this order: the ranks above follow it."""
        yield Batch(statements.OUTCOME, self.outcomes, True)
        yield Batch(statements.UNMARK, self.unmarks, True)
        yield Batch(statements.MOVE, self.moves, True)
        yield Batch(statements.RESET, self.resets, True)
        yield Batch(statements.MARK, self.marks, True)


class TurnRows:
    """The rows of ``writes``; claims are not among them."""

    def __init__(self, writes: Sequence[Write]) -> None:
        self._waves = [_Wave()]
        self._last: dict[Step, int] = {}
        # By plan and action. Whatever was written last: a statement for many rows knows no order.
        self._inputs: dict[Step, bytes] = {}
        self._outputs: dict[Step, bytes] = {}
        self._journal: list[Row] = []
        self._recorded: list[Row] = []
        self._taken: list[Row] = []
        self._forgotten: list[Row] = []
        self._posted: list[Row] = []
        self._requested: list[Row] = []
        self._written: list[Row] = []
        self._dropped: list[Row] = []
        self._hook_calls: list[Row] = []
        self._plans: dict[str, Row] = {}
        self._sort(writes)

    def batches(self) -> list[Batch]:
        """What to execute, in this order; none is without rows."""
        found = [batch for wave in self._waves for batch in wave.batches()]
        found += self._payload_batches()
        found.append(Batch(statements.SAVE_PLAN, list(self._plans.values()), True))
        found.append(Batch(statements.JOURNAL, self._journal, False))
        found.append(Batch(statements.RECORD_EVENT, self._recorded, False))
        # In this order: one that comes and goes in one turn is gone.
        found.append(Batch(statements.TAKE_EVENT, self._taken, False))
        found.append(Batch(statements.FORGET_EVENT, self._forgotten, False))
        found.append(Batch(statements.POST_EVENT, self._posted, False))
        found.append(Batch(statements.REQUEST_PLAN, self._requested, False))
        # In this order, so that what is dropped does not stay because it came again.
        found.append(Batch(statements.ADD_CHUNK, self._written, False))
        found.append(Batch(statements.DROP_CHUNKS, self._dropped, False))
        found.append(Batch(NOTE_HOOKS, self._hook_calls, False))
        return [batch for batch in found if batch.rows]

    def _payload_batches(self) -> list[Batch]:
        inputs: list[Row] = [(given, *action) for action, given in self._inputs.items()]
        outputs: list[Row] = [(*action, output) for action, output in self._outputs.items()]
        return [Batch(statements.INPUT, inputs, True), Batch(statements.OUTPUT, outputs, False)]

    def _sort(self, writes: Sequence[Write]) -> None:
        add = {
            SaveOutcome: self._outcome,
            AddChunks: self._chunks,
            NoteHooks: self._hooks,
            MarkRunning: self._mark,
            UnmarkRunning: self._unmark,
            ResetStep: self._reset,
            MoveStep: self._move,
            SavePlan: self._plan,
            RecordEvent: self._record,
            ForgetEvents: self._forget,
            MarkEventsTaken: self._take,
            PostEvent: self._post,
            RequestPlan: self._request,
        }
        for write in writes:
            adding: Any = add.get(type(write))
            if adding is not None:
                adding(write)

    def _wave(self, step: Step, rank: int) -> _Wave:
        """The first wave in which a write of this rank comes after the step's last one."""
        last = self._last.get(step, -1)
        if last < 0:
            self._last[step] = rank
            return self._waves[0]
        number = last // _RANKS
        if rank <= last % _RANKS:
            number += 1
            if number == len(self._waves):
                self._waves.append(_Wave())
        self._last[step] = number * _RANKS + rank
        return self._waves[number]

    # ``_value_`` is the member's plain text: the driver is quick only with the very type str, and the
    # public ``value`` is a property that costs several times as much on this path.

    def _outcome(self, write: SaveOutcome) -> None:
        (
            plan_id,
            _,
            step_id,
            action_id,
            from_state,
            attempt,
            state,
            ended_at,
            execution_time,
            real_time,
            progress_done,
            progress_weight,
            output,
            given,
            error,
            worker_pid,
        ) = write
        self._wave((plan_id, step_id), _OUTCOME_RANK).outcomes.append(
            (
                state._value_,
                error,
                ended_at,
                execution_time,
                real_time,
                progress_done,
                progress_weight,
                worker_pid,
                plan_id,
                step_id,
                from_state._value_,
                attempt,
            )
        )
        if given is not None:
            self._inputs[plan_id, action_id] = given
        if output is not None:
            self._outputs[plan_id, action_id] = output
        if state is StepState.ERROR:
            self._journal.append((plan_id, step_id, attempt, state._value_, error, ended_at, execution_time))

    def _chunks(self, write: AddChunks) -> None:
        plan_id, _, action_id, base, chunks = write
        for chunk, kind, written_at, number in chunks:
            if chunk:
                self._written.append((plan_id, action_id, base + number, kind, chunk, written_at))
            else:
                self._dropped.append((plan_id, action_id, base + number))

    def _hooks(self, write: NoteHooks) -> None:
        self._hook_calls.append(
            hook_row(write.plan_id, write.id, write.kinds, write.state, write.result, write.noted_at)
        )

    def _mark(self, write: MarkRunning) -> None:
        plan_id, _, step_id, from_state, attempt, started_at = write
        self._wave((plan_id, step_id), _MARK_RANK).marks.append(
            (attempt, started_at, plan_id, step_id, from_state._value_, attempt - 1)
        )

    def _unmark(self, write: UnmarkRunning) -> None:
        plan_id, _, step_id, to_state, attempt = write
        self._wave((plan_id, step_id), _UNMARK_RANK).unmarks.append(
            (to_state._value_, attempt - 1, attempt - 1, plan_id, step_id, attempt)
        )

    def _move(self, write: MoveStep) -> None:
        step = (write.plan_id, write.step_id)
        self._wave(step, _MOVE_RANK).moves.append(
            (
                write.to_state._value_,
                write.to_attempts,
                int(not write.forget_error),
                write.due_at,
                write.crashes,
                write.retries,
                *step,
                write.from_state._value_,
                write.from_attempts,
            )
        )

    def _reset(self, write: ResetStep) -> None:
        step = (write.plan_id, write.step_id)
        self._wave(step, _RESET_RANK).resets.append(step)

    def _plan(self, write: SavePlan) -> None:
        """The last word about a plan stands; what an earlier one gave up stays given up."""
        earlier = self._plans.get(write.plan_id)
        keep_request = not write.release or write.keep_requested
        keep_owner = not write.release
        if earlier is not None:
            keep_request, keep_owner = keep_request and earlier[6], keep_owner and earlier[7]
        self._plans[write.plan_id] = (
            write.state._value_,
            write.result._value_,
            packed_history(write.history),
            write.ended_at,
            write.execution_time,
            write.real_time,
            int(keep_request),
            int(keep_owner),
            write.plan_id,
            write.epoch,
        )

    def _record(self, write: RecordEvent) -> None:
        self._recorded.append(
            (
                write.id,
                write.plan_id,
                write.step_id,
                write.data,
                write.client_id,
                write.due_at,
                write.recorded_at,
                None,
            )
        )

    def _take(self, write: MarkEventsTaken) -> None:
        self._taken += [(b"", write.taken_at, event_id, write.plan_id) for event_id in write.ids]

    def _post(self, write: PostEvent) -> None:
        self._posted.append(
            (
                write.id,
                write.world_id,
                write.to_plan_id,
                write.to_step_id,
                write.data,
                int(write.optional),
                write.due_at,
                write.posted_at,
            )
        )

    def _forget(self, write: ForgetEvents) -> None:
        self._forgotten += [(event_id, write.plan_id) for event_id in write.ids]

    def _request(self, write: RequestPlan) -> None:
        self._requested.append((write.requested_at, write.sub_plan_id))


def packed_history(history: tuple[HistoryEntry, ...]) -> bytes:
    """As it is stored in a plan's row."""
    return encode_own(history)
