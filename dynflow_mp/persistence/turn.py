"""One turn's writes inside the caller's transaction.

    claims ─▶ hold the other plans' rows, compare epochs ─▶ steps, wave by wave ─▶ events ─▶ plans
              └─ lost plans: nothing of theirs is written

Writes are grouped by kind, each kind one statement for all its rows. A step that is written twice in a
turn (stored as suspended, then marked running again) has its second write in a later wave. Every step
is guarded by its state and attempt; a guard that touches no row ends the turn as :class:`GuardFailed`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import (
    Connection,
    Float,
    Integer,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    null,
    select,
    update,
)

from dynflow_mp.clock import now_us
from dynflow_mp.errors import DynflowError
from dynflow_mp.model.codec import encode
from dynflow_mp.model.plans import HistoryEntry, history_to_data
from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.model.writes import (
    ClaimPlan,
    ForgetEvents,
    MarkRunning,
    RecordEvent,
    ResetStep,
    SaveOutcome,
    SavePlan,
    UnmarkRunning,
    Write,
)
from dynflow_mp.persistence.statements import Row, Statement, inserting
from dynflow_mp.persistence.tables import actions, events, execution_plans, step_attempts, steps

Step: TypeAlias = tuple[str, int]
"""Plan id and step id."""
StepWrite: TypeAlias = SaveOutcome | UnmarkRunning | ResetStep | MarkRunning
StepsBefore: TypeAlias = Callable[[Collection[Step]], Mapping[Step, tuple[str, int]]]
"""State and attempts of steps as they were before this transaction."""

_RUNNING, _PENDING = StepState.RUNNING.value, StepState.PENDING.value
_RESETTABLE = (StepState.SUCCESS.value, StepState.ERROR.value)
_CHUNK = 500
_NO_LIMIT = 2**40


class GuardFailed(DynflowError):
    """Rows of these plans are not what the turn took them for; nothing of the turn may be committed."""

    def __init__(self, plan_ids: Iterable[str]) -> None:
        self.plan_ids = frozenset(plan_ids)
        super().__init__(f"rows have changed under {', '.join(sorted(self.plan_ids))}")


# -- statements; their parameters are named in the order they stand in -------------------------------

_plan, _step, _action = execution_plans.c, steps.c, actions.c


def _constant(text: str) -> Any:
    """A word of ours inside a statement: no parameter to pass with every row."""
    return literal_column(f"'{text}'")


def _this_step(*guards: Any) -> tuple[Any, ...]:
    return (_step.execution_plan_id == bindparam("plan"), _step.id == bindparam("step"), *guards)


def _this_attempt() -> tuple[Any, ...]:
    return (_step.state == bindparam("from_state"), _step.attempts == bindparam("from_attempts"))


def _this_action() -> tuple[Any, ...]:
    return (_action.execution_plan_id == bindparam("plan"), _action.id == bindparam("action"))


_CLAIM = Statement(
    update(execution_plans)
    .where(
        _plan.id == bindparam("plan"),
        _plan.lock_epoch == bindparam("epoch_read"),
        _plan.owner_id.is_(None),
    )
    .values(
        state=_constant(PlanState.RUNNING.value),
        history=bindparam("new_history"),
        started_at=bindparam("new_started_at"),
        owner_id=bindparam("new_owner"),
        lock_epoch=bindparam("new_epoch"),
    ),
    ("new_history", "new_started_at", "new_owner", "new_epoch", "plan", "epoch_read"),
)
_SAVE_PLAN = Statement(
    update(execution_plans)
    .where(_plan.id == bindparam("plan"), _plan.lock_epoch == bindparam("epoch"))
    .values(
        state=bindparam("new_state"),
        result=bindparam("new_result"),
        history=bindparam("new_history"),
        ended_at=bindparam("new_ended_at"),
        execution_time=bindparam("new_execution_time"),
        real_time=bindparam("new_real_time"),
        requested_at=case(
            (bindparam("keep_request", type_=Integer) == literal_column("0"), null()),
            else_=_plan.requested_at,
        ),
        owner_id=case(
            (bindparam("keep_owner", type_=Integer) == literal_column("0"), null()), else_=_plan.owner_id
        ),
    ),
    (
        "new_state",
        "new_result",
        "new_history",
        "new_ended_at",
        "new_execution_time",
        "new_real_time",
        "keep_request",
        "keep_owner",
        "plan",
        "epoch",
    ),
)
_MARK = Statement(
    update(steps)
    .where(*_this_step(*_this_attempt()))
    .values(
        state=_constant(_RUNNING),
        attempts=bindparam("new_attempts"),
        started_at=func.coalesce(_step.started_at, bindparam("new_started_at")),
    ),
    ("new_attempts", "new_started_at", "plan", "step", "from_state", "from_attempts"),
)
_UNMARK = Statement(
    update(steps)
    .where(
        *_this_step(_step.state == _constant(_RUNNING), _step.attempts == bindparam("from_attempts")),
    )
    .values(
        state=bindparam("new_state"),
        attempts=bindparam("new_attempts"),
        started_at=case(
            (bindparam("begun_before", type_=Integer) == literal_column("0"), null()),
            else_=_step.started_at,
        ),
    ),
    ("new_state", "new_attempts", "begun_before", "plan", "step", "from_attempts"),
)
_RESET = Statement(
    update(steps)
    .where(*_this_step(_step.state.in_([_constant(state) for state in _RESETTABLE])))
    .values(state=_constant(_PENDING)),
    ("plan", "step"),
)
_OUTCOME = Statement(
    update(steps)
    .where(*_this_step(*_this_attempt()))
    .values(
        state=bindparam("new_state"),
        error=bindparam("new_error"),
        ended_at=bindparam("new_ended_at"),
        execution_time=bindparam("new_execution_time"),
        real_time=bindparam("new_real_time"),
        progress_done=bindparam("new_progress_done"),
        progress_weight=func.coalesce(bindparam("new_progress_weight", type_=Float), _step.progress_weight),
    ),
    (
        "new_state",
        "new_error",
        "new_ended_at",
        "new_execution_time",
        "new_real_time",
        "new_progress_done",
        "new_progress_weight",
        "plan",
        "step",
        "from_state",
        "from_attempts",
    ),
)
_OUTPUT = Statement(
    update(actions).where(*_this_action()).values(output=bindparam("new_output")),
    ("new_output", "plan", "action"),
)
# An input that comes back has its references resolved in it.
_INPUT = Statement(
    update(actions).where(*_this_action()).values(input=bindparam("new_input"), references=null()),
    ("new_input", "plan", "action"),
)
_INPUT_AND_OUTPUT = Statement(
    update(actions)
    .where(*_this_action())
    .values(input=bindparam("new_input"), references=null(), output=bindparam("new_output")),
    ("new_input", "new_output", "plan", "action"),
)
_JOURNAL = inserting(step_attempts, or_nothing=True)
_RECORD_EVENT = inserting(events, or_nothing=True)
_FORGET_EVENT = Statement(
    delete(events).where(events.c.id == bindparam("event"), events.c.execution_plan_id == bindparam("plan")),
    ("event", "plan"),
)
_HOLD_COLUMNS = select(_plan.id, _plan.lock_epoch, _plan.owner_id).with_for_update()
_HOLD_ONE = Statement(_HOLD_COLUMNS.where(_plan.id == bindparam("plan")), ("plan",))
_HOLD_MANY = _HOLD_COLUMNS.where(_plan.id.in_(bindparam("plan_ids", expanding=True))).order_by(_plan.id)


# -- the turn ----------------------------------------------------------------------------------------


def write_turn(connection: Connection, writes: Sequence[Write], steps_before: StepsBefore) -> frozenset[str]:
    """Carry out ``writes``; returns the plans that are lost, of which nothing was written.

    Raises :class:`GuardFailed`, naming the plans, when a row is not what a write took it for.
    """
    claims = [write for write in writes if isinstance(write, ClaimPlan)]
    lost = _claim(connection, claims) if claims else set()
    claimed = {claim.plan_id for claim in claims}
    epochs = {write.plan_id: write.epoch for write in writes if not isinstance(write, ClaimPlan)}
    lost |= _hold(connection, {plan: epoch for plan, epoch in epochs.items() if plan not in claimed})
    if lost:
        writes = [write for write in writes if write.plan_id not in lost]
    turn = _Turn(writes)
    try:
        turn.write(connection)
    except _RowsMissing as missing:
        raise GuardFailed(_culprits(turn.step_writes(), steps_before) or missing.plan_ids) from None
    return frozenset(lost)


def _claim(connection: Connection, claims: list[ClaimPlan]) -> set[str]:
    """Take the plans; those that could not be taken.

    A plan that is this world's at the very epoch the claim makes was taken by the same claim before
    (its commit's answer was lost): that is no loss.
    """
    rows: list[Row] = [
        (
            _history(claim.history),
            claim.started_at,
            claim.world_id,
            claim.epoch_read + 1,
            claim.plan_id,
            claim.epoch_read,
        )
        for claim in claims
    ]
    if _CLAIM.run_many(connection, rows) == len(rows):
        return set()
    held = _read_holders(connection, [claim.plan_id for claim in claims])
    return {
        claim.plan_id for claim in claims if held.get(claim.plan_id) != (claim.epoch_read + 1, claim.world_id)
    }


def _hold(connection: Connection, epochs: Mapping[str, int]) -> set[str]:
    """Lock the plans' rows to the end of the transaction; those that have another epoch or no owner."""
    held = _read_holders(connection, list(epochs))
    lost: set[str] = set()
    for plan_id, epoch in epochs.items():
        held_epoch, owner_id = held.get(plan_id, (None, None))
        if held_epoch != epoch or owner_id is None:
            lost.add(plan_id)
    return lost


def _read_holders(connection: Connection, plan_ids: list[str]) -> dict[str, tuple[int, str | None]]:
    """Epoch and owner by plan, the rows locked, always in the same order so that no two turns deadlock."""
    found: list[Any] = []
    if len(plan_ids) == 1:
        found += _HOLD_ONE.run(connection, (plan_ids[0],))
    else:
        ordered = sorted(plan_ids)
        for start in range(0, len(ordered), _CHUNK):
            found += connection.execute(_HOLD_MANY, {"plan_ids": ordered[start : start + _CHUNK]})
    return {plan_id: (epoch, owner_id) for plan_id, epoch, owner_id in found}


class _RowsMissing(Exception):
    """A statement touched fewer rows than it was given."""

    def __init__(self, plan_ids: set[str]) -> None:
        super().__init__(plan_ids)
        self.plan_ids = plan_ids


class _Wave:
    """Rows of steps of which no two concern the same step in the wrong order."""

    __slots__ = ("marks", "outcomes", "resets", "unmarks")

    def __init__(self) -> None:
        self.outcomes: list[Row] = []
        self.unmarks: list[Row] = []
        self.resets: list[Row] = []
        self.marks: list[Row] = []

    def write(self, connection: Connection) -> None:
        """In this order: the ranks below follow it."""
        for statement, rows, plan_at in (
            (_OUTCOME, self.outcomes, 7),
            (_UNMARK, self.unmarks, 3),
            (_RESET, self.resets, 0),
            (_MARK, self.marks, 2),
        ):
            if rows:
                _write_all(connection, statement, rows, plan_at)


_OUTCOME_RANK, _UNMARK_RANK, _RESET_RANK, _MARK_RANK = range(4)
_RANKS = 4


def _write_all(connection: Connection, statement: Statement, rows: list[Row], plan_at: int) -> None:
    if statement.run_many(connection, rows) != len(rows):
        raise _RowsMissing({row[plan_at] for row in rows})


class _Turn:
    """A turn's writes as rows of parameters, sorted by statement."""

    def __init__(self, writes: Sequence[Write]) -> None:
        self._writes = writes
        self._waves = [_Wave()]
        self._last: dict[Step, int] = {}
        self._outputs: list[Row] = []
        self._inputs: list[Row] = []
        self._inputs_and_outputs: list[Row] = []
        self._journal: list[Row] = []
        self._recorded: list[Row] = []
        self._forgotten: list[Row] = []
        self._plans: list[Row] = []
        self._sort()

    def write(self, connection: Connection) -> None:
        """Execute every statement that has rows."""
        for wave in self._waves:
            wave.write(connection)
        for statement, rows, plan_at in (
            (_OUTPUT, self._outputs, 1),
            (_INPUT, self._inputs, 1),
            (_INPUT_AND_OUTPUT, self._inputs_and_outputs, 2),
            (_SAVE_PLAN, self._plans, 8),
        ):
            if rows:
                _write_all(connection, statement, rows, plan_at)
        for statement, rows in (
            (_JOURNAL, self._journal),
            (_RECORD_EVENT, self._recorded),
            (_FORGET_EVENT, self._forgotten),
        ):
            if rows:
                statement.run_many(connection, rows)

    def step_writes(self) -> list[StepWrite]:
        """The writes of steps, in the order they were decided."""
        return [
            write
            for write in self._writes
            if isinstance(write, (SaveOutcome, UnmarkRunning, ResetStep, MarkRunning))
        ]

    def _sort(self) -> None:
        add = {
            SaveOutcome: self._outcome,
            MarkRunning: self._mark,
            UnmarkRunning: self._unmark,
            ResetStep: self._reset,
            SavePlan: self._plan,
            RecordEvent: self._record,
            ForgetEvents: self._forget,
        }
        for write in self._writes:
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
                plan_id,
                step_id,
                from_state._value_,
                attempt,
            )
        )
        if given is not None:
            self._changed_input(plan_id, action_id, given, output)
        elif output is not None:
            self._outputs.append((output, plan_id, action_id))
        if state is StepState.ERROR:
            self._journal.append((plan_id, step_id, attempt, state._value_, error, ended_at, execution_time))

    def _changed_input(self, plan_id: str, action_id: int, given: bytes, output: bytes | None) -> None:
        if output is None:
            self._inputs.append((given, plan_id, action_id))
        else:
            self._inputs_and_outputs.append((given, output, plan_id, action_id))

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

    def _reset(self, write: ResetStep) -> None:
        step = (write.plan_id, write.step_id)
        self._wave(step, _RESET_RANK).resets.append(step)

    def _plan(self, write: SavePlan) -> None:
        self._plans.append(
            (
                write.state._value_,
                write.result._value_,
                _history(write.history),
                write.ended_at,
                write.execution_time,
                write.real_time,
                0 if write.release and not write.keep_requested else 1,
                0 if write.release else 1,
                write.plan_id,
                write.epoch,
            )
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
                now_us(),
            )
        )

    def _forget(self, write: ForgetEvents) -> None:
        self._forgotten += [(event_id, write.plan_id) for event_id in write.ids]


def _history(history: tuple[HistoryEntry, ...]) -> bytes:
    return encode(history_to_data(history), "history", _NO_LIMIT)


# -- who is to blame ---------------------------------------------------------------------------------


def _culprits(writes: list[StepWrite], steps_before: StepsBefore) -> set[str]:
    """The plans of which a write met a row it did not expect.

    A batch of updates tells only how many rows it touched, so the guards are compared again, one by
    one, with the rows as they were before this transaction.
    """
    rows = dict(steps_before({(write.plan_id, write.step_id) for write in writes}))
    refused: set[str] = set()
    for write in writes:
        step = (write.plan_id, write.step_id)
        after = _after(write, rows.get(step))
        if after is None:
            refused.add(write.plan_id)
        else:
            rows[step] = after
    return refused


def _after(write: StepWrite, before: tuple[str, int] | None) -> tuple[str, int] | None:
    """State and attempts of the step's row once ``write`` is done; None where its guard refuses."""
    if before is None:
        return None
    state, attempts = before
    if isinstance(write, SaveOutcome):
        fits = before == (write.from_state.value, write.attempt)
        return (write.state.value, attempts) if fits else None
    if isinstance(write, MarkRunning):
        fits = before == (write.from_state.value, write.attempt - 1)
        return (_RUNNING, write.attempt) if fits else None
    if isinstance(write, UnmarkRunning):
        fits = before == (_RUNNING, write.attempt)
        return (write.to_state.value, write.attempt - 1) if fits else None
    return (_PENDING, attempts) if state in _RESETTABLE else None
