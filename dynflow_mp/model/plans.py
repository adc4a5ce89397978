"""A plan as it is made, stored, and taken up by an executor.

planner ──PlannedPlan──▶ store ──PlanSkeleton──▶ director     (flows and states, no payloads)
                               ──Payload───────▶ core         (bytes, by page, as steps come near)
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from dynflow_mp.errors import DamagedData
from dynflow_mp.model.flows import Flow, step_ids
from dynflow_mp.model.policies import DEFAULT_QUEUE, ActionPolicy
from dynflow_mp.model.states import Phase, PlanState, Result, StepState
from dynflow_mp.redaction import discreet


class HistoryEntry(NamedTuple):
    """One line of a plan's execution history; ``time`` in microseconds UTC."""

    time: int
    name: str
    world_id: str | None = None


@discreet
class PlannedAction(NamedTuple):
    """One action of a new plan."""

    id: int
    action_class: str
    plan_step_id: int
    run_step_id: int | None
    finalize_step_id: int | None
    caller_plan_id: str | None
    caller_action_id: int | None
    input: bytes
    references: bytes | None
    """The codec's bytes of a list of :class:`StoredReference`, or None."""


class PlannedStep(NamedTuple):
    """One step of a new plan; times are microseconds UTC, durations seconds."""

    id: int
    phase: Phase
    state: StepState
    action_id: int
    action_class: str
    queue: str | None
    progress_weight: float
    children: tuple[int, ...] = ()
    error: bytes | None = None
    started_at: int | None = None
    ended_at: int | None = None
    execution_time: float = 0.0
    real_time: float = 0.0


class PlannedPlan(NamedTuple):
    """A whole new plan, ready to be stored in one transaction."""

    id: str
    label: str
    state: PlanState
    result: Result
    root_plan_step_id: int
    run_flow: Flow
    finalize_flow: Flow
    actions: list[PlannedAction]
    steps: list[PlannedStep]
    policies: dict[str, ActionPolicy]
    dependencies: list[tuple[int, tuple[int, ...]]]
    """``(consumer action id, producer action ids)`` for every action whose input holds references."""
    history: tuple[HistoryEntry, ...]
    started_at: int | None
    ended_at: int | None
    execution_time: float
    real_time: float
    caller_plan_id: str | None = None
    caller_action_id: int | None = None
    deadline_at: int | None = None
    unique_key: str | None = None

    @property
    def singletons(self) -> list[str]:
        """The classes of which only one plan may be active."""
        return [name for name, policy in self.policies.items() if policy.singleton]

    @property
    def first_queue(self) -> str:
        """The queue of the first run step: what weighing executors by free slots goes by."""
        queues = (step.queue for step in self.steps if step.phase is Phase.RUN)
        return next(queues, None) or DEFAULT_QUEUE


@discreet
class DelayRecord(NamedTuple):
    """When a scheduled plan may start, and with what; times are microseconds UTC, None: at once, for ever.

    ``arguments`` are the codec's bytes of ``[args, kwargs]``, each in turn bytes.
    """

    start_at: int | None
    start_before: int | None
    frozen: bool
    arguments: bytes


class StepKind(NamedTuple):
    """What many steps of a plan have in common."""

    action_class: str
    queue: str


_CODES = {state: code for code, state in enumerate(StepState)}
_STATES = list(StepState)


class StepTable:
    """The run and finalize steps of one plan, by step id, in a few bytes each.

    Owned by whoever holds it: built by the reader, handed to the director, never shared.
    """

    __slots__ = ("_actions", "_attempts", "_kind_numbers", "_kinds", "_known", "_states")

    def __init__(self, highest_step_id: int) -> None:
        size = highest_step_id + 1
        self._states = bytearray(size)
        self._attempts = array("I", bytes(4 * size))
        self._actions = array("I", bytes(4 * size))
        self._kind_numbers = array("I", bytes(4 * size))
        self._kinds: list[StepKind] = []
        self._known: dict[StepKind, int] = {}

    def add(self, step_id: int, state: StepState, attempts: int, action_id: int, kind: StepKind) -> None:
        """Enter one step."""
        number = self._known.get(kind)
        if number is None:
            number = self._known[kind] = len(self._kinds)
            self._kinds.append(kind)
        self._states[step_id] = _CODES[state]
        self._attempts[step_id] = attempts
        self._actions[step_id] = action_id
        self._kind_numbers[step_id] = number

    def __len__(self) -> int:
        """The highest step id: no fewer than there are steps."""
        return len(self._actions) - 1

    def __contains__(self, step_id: int) -> bool:
        """Whether this is a run or finalize step of the plan."""
        return 0 < step_id < len(self._actions) and self._actions[step_id] != 0

    def state(self, step_id: int) -> StepState:
        return _STATES[self._states[step_id]]

    def set_state(self, step_id: int, state: StepState) -> None:
        self._states[step_id] = _CODES[state]

    def attempts(self, step_id: int) -> int:
        """How many times the step was begun."""
        return self._attempts[step_id]

    def set_attempts(self, step_id: int, attempts: int) -> None:
        self._attempts[step_id] = attempts

    def action_id(self, step_id: int) -> int:
        return self._actions[step_id]

    def kind(self, step_id: int) -> StepKind:
        return self._kinds[self._kind_numbers[step_id]]

    def states_of(self, ids: Iterable[int]) -> set[StepState]:
        """The distinct states of these steps."""
        states = self._states
        return {_STATES[code] for code in {states[step_id] for step_id in ids}}

    def in_state(self, ids: Iterable[int], state: StepState) -> list[int]:
        """Those of these steps that are in ``state``."""
        code, states = _CODES[state], self._states
        return [step_id for step_id in ids if states[step_id] == code]


class StepTimes(NamedTuple):
    """What a step that was begun before has spent."""

    started_at: int | None
    execution_time: float


class Setback(NamedTuple):
    """What a step has behind it since it was last started anew: what its retries and crashes are counted by."""

    due_at: int | None = None
    """When it is to be tried again (microseconds UTC); None: as soon as may be."""
    retries: int = 0
    crashes: int = 0


@discreet
class StoredEvent(NamedTuple):
    """An event that was accepted: it waits for its step, or was taken by it and is kept so that this is known.

    ``id`` is the request id of whoever sent it; ``due_at``, ``recorded_at`` and ``taken_at`` microseconds UTC, ``due_at``
    None for at once, ``taken_at`` None while it waits.
    """

    id: str
    step_id: int
    data: bytes
    client_id: str | None
    due_at: int | None = None
    recorded_at: int = 0
    taken_at: int | None = None


class Caller(NamedTuple):
    """The action of which a plan is a sub-plan; ``step_id`` is its run step, None if it has none."""

    plan_id: str
    action_id: int
    step_id: int | None


NO_SETBACKS: Mapping[int, Setback] = MappingProxyType({})


class PlanSkeleton(NamedTuple):
    """All an executor needs to decide about a plan; no payloads.

    ``step_times`` holds only steps that were begun before, ``planning_time`` the summed execution
    time of the plan steps.
    """

    id: str
    label: str
    state: PlanState
    lock_epoch: int
    owner_id: str | None
    requested_at: int | None
    started_at: int | None
    run_flow: Flow
    finalize_flow: Flow
    steps: StepTable
    step_times: dict[int, StepTimes]
    planning_time: float
    policies: dict[str, ActionPolicy]
    dependencies: dict[int, tuple[int, ...]]
    history: tuple[HistoryEntry, ...]
    events: tuple[StoredEvent, ...] = ()
    caller: Caller | None = None
    unique_key: str | None = None
    taken: frozenset[str] = frozenset()
    """Singleton classes of which another plan is active."""
    setbacks: Mapping[int, Setback] = NO_SETBACKS
    """Only of steps that have any."""
    deadline_at: int | None = None

    @property
    def finalize_step_ids(self) -> list[int]:
        return list(step_ids(self.finalize_flow))


@discreet
class Payload(NamedTuple):
    """One action's stored bytes."""

    action_id: int
    input: bytes
    references: bytes | None
    output: bytes | None


def history_to_data(history: Iterable[HistoryEntry]) -> list[list[Any]]:
    return [list(entry) for entry in history]


def history_from_data(data: Any) -> tuple[HistoryEntry, ...]:
    """What :func:`history_to_data` made. Raises :class:`DamagedData` for anything else."""
    try:
        history = tuple(HistoryEntry(*entry) for entry in data)
    except TypeError as error:
        raise DamagedData(f"a stored history cannot be read: {error}") from error
    for time, name, world_id in history:
        if type(time) is not int or not isinstance(name, str) or not isinstance(world_id, (str, type(None))):
            raise DamagedData("a stored history has entries that are none")
    return history
