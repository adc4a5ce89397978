"""Stored rows as people and dispatchers read them: scalars decoded, payloads still bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dynflow_mp.model.states import Phase, PlanState, Result, StepState
from dynflow_mp.redaction import discreet

PLAN_STATES: Mapping[str, PlanState] = {state.value: state for state in PlanState}
STEP_STATES: Mapping[str, StepState] = {state.value: state for state in StepState}
RESULTS: Mapping[str, Result] = {result.value: result for result in Result}
PHASES: Mapping[str, Phase] = {phase.value: phase for phase in Phase}


class PlanStatus(NamedTuple):
    """Where a plan stands and who has it."""

    id: str
    state: PlanState
    result: Result
    owner_id: str | None
    requested_at: int | None
    lock_epoch: int


class PlanRow(NamedTuple):
    """One plan. Flows, history, policies and dependencies are the codec's bytes; times microseconds UTC."""

    id: str
    label: str
    state: PlanState
    result: Result
    root_plan_step_id: int
    run_flow: bytes
    finalize_flow: bytes
    history: bytes
    policies: bytes
    dependencies: bytes
    started_at: int | None
    ended_at: int | None
    execution_time: float
    real_time: float
    requested_at: int | None
    owner_id: str | None
    lock_epoch: int
    caller_execution_plan_id: str | None
    caller_action_id: int | None
    step_count: int
    created_at: int
    deadline_at: int | None = None
    unique_key: str | None = None


class StepRow(NamedTuple):
    """One step. ``error`` and ``children`` are the codec's bytes."""

    execution_plan_id: str
    id: int
    phase: Phase
    state: StepState
    action_id: int
    action_class: str
    queue: str | None
    attempts: int
    error: bytes | None
    children: bytes | None
    started_at: int | None
    ended_at: int | None
    execution_time: float
    real_time: float
    progress_done: float
    progress_weight: float
    due_at: int | None = None
    crashes: int | None = None
    retries: int | None = None
    worker_pid: int | None = None


class AttemptRow(NamedTuple):
    """One attempt that did not succeed. ``error`` is the codec's bytes; time in microseconds UTC."""

    step_id: int
    attempt: int
    state: StepState
    error: bytes | None
    ended_at: int | None
    execution_time: float


@discreet
class ActionRow(NamedTuple):
    """One action. ``input``, ``references`` and ``output`` are the codec's bytes."""

    execution_plan_id: str
    id: int
    action_class: str
    caller_execution_plan_id: str | None
    caller_action_id: int | None
    plan_step_id: int
    run_step_id: int | None
    finalize_step_id: int | None
    input: bytes
    references: bytes | None
    output: bytes | None


@discreet
class ChunkRow(NamedTuple):
    """One output chunk; ``chunk`` are the codec's bytes."""

    kind: str | None
    chunk: bytes
    written_at: int


class StepCount(NamedTuple):
    """How many steps of a plan are in one phase and state."""

    phase: Phase
    state: StepState
    number: int
