"""All that is known of one step, as it may be shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from dynflow_mp.console.views.cut_text import CutText, cut, cut_end, one_line
from dynflow_mp.console.views.data_text import data_text
from dynflow_mp.console.views.step_rows import can_be_skipped, took_s
from dynflow_mp.console.wording import bytes_text, duration_text, time_text
from dynflow_mp.model.states import Phase, PlanState, StepState
from dynflow_mp.reading.concealment import action_of, shown, shown_error, shown_text

MOST_CHUNKS = 100
MOST_ATTEMPTS = 50
_CHUNK = 2_000
_TRACE = 8_000


class ErrorView(NamedTuple):
    class_name: str
    message: CutText
    backtrace: CutText


class CertificateView(NamedTuple):
    """How the step was ended; ``facts`` in words."""

    sentence: str
    facts: list[tuple[str, str]]
    advice: str
    stack: str
    output: CutText


class AttemptView(NamedTuple):
    number: int
    ended_at: datetime | None
    execution_time: float
    error: str
    cause: str | None
    trace: CutText


class ChunkView(NamedTuple):
    time: datetime
    kind: str | None
    value: CutText


class OtherStep(NamedTuple):
    id: int
    phase: str
    state: str


class StepDetails(NamedTuple):
    """One step with its action's data, everything concealed that is not to be shown."""

    id: int
    action: str
    class_name: str
    phase: str
    state: str
    cause: str | None
    presented_state: str
    progress: float
    started_at: datetime | None
    ended_at: datetime | None
    due_at: datetime | None
    took_s: float | None
    execution_time: float
    attempts: int
    retries: int
    crashes: int
    queue: str | None
    worker_pid: int | None
    error: ErrorView | None
    certificate: CertificateView | None
    input: CutText
    output: CutText
    chunks: list[ChunkView]
    chunks_left: int
    failed_attempts: list[AttemptView]
    siblings: list[OtherStep]
    sub_plans: int
    can_skip: bool
    can_edit: bool
    can_take_event: bool


def step_details(plan: Any, step: Any, chunks: Sequence[Any], chunk_count: int, now: datetime) -> StepDetails:
    """Everything about one step of a plan that can be read; ``chunks`` are the last of so many."""
    action = action_of(plan, step.action_id)
    data = shown(action)
    error = None if step.error is None else shown_error(step.error, action)
    failed = can_be_skipped(step, plan.state)
    return StepDetails(
        step.id,
        step.action_class,
        step.action_class_name,
        str(step.phase),
        str(step.state),
        None if error is None else error.cause,
        _presented(plan, step, action),
        step.progress_done,
        step.started_at,
        step.ended_at,
        step.due_at,
        took_s(step, now),
        step.execution_time,
        step.attempts,
        step.retries,
        step.crashes,
        step.queue,
        step.worker_pid,
        None if error is None else error_view(error),
        None if error is None or error.certificate is None else certificate_view(error.certificate),
        cut(data_text(data.input)),
        cut(data_text(data.output)),
        [_chunk(chunk, action) for chunk in chunks],
        chunk_count - len(chunks),
        [_attempt(attempt, action) for attempt in step.failed_attempts[-MOST_ATTEMPTS:]],
        _siblings(plan, step),
        plan.count_sub_plans(step.action_id) if step.phase == Phase.RUN else 0,
        failed,
        failed and step.phase == Phase.RUN,
        step.state in (StepState.SUSPENDED, StepState.RUNNING) and plan.state == PlanState.RUNNING,
    )


def error_view(error: Any) -> ErrorView:
    """An error that may be shown."""
    return ErrorView(error.exception_class, cut(error.message), cut_end(error_trace(error)))


def error_trace(error: Any) -> str:
    """Where it was raised."""
    return "\n".join(line.rstrip("\n") for line in error.backtrace)


def certificate_view(died: Any) -> CertificateView:
    """How a step was ended that did not end by itself."""
    facts: list[tuple[str, str]] = [("cause", died.cause)]
    if died.began_at is not None:
        lasted_s = (died.died_at - died.began_at).total_seconds()
        facts.append(("began", time_text(died.began_at)))
        facts.append(("ended", f"{time_text(died.died_at)}, after {duration_text(lasted_s)}"))
    else:
        facts.append(("ended", time_text(died.died_at)))
    if died.pid is not None:
        facts.append(("worker", f"{died.worker}, pid {died.pid}"))
    if died.signal is not None:
        facts.append(("ended by signal", str(died.signal)))
    if died.exit_code is not None:
        facts.append(("exit code", str(died.exit_code)))
    if died.peak_memory is not None:
        facts.append(("peak memory", bytes_text(died.peak_memory)))
    if died.cpu_time is not None:
        facts.append(("CPU time", duration_text(died.cpu_time)))
    if died.output_dropped:
        facts.append(("output dropped", bytes_text(died.output_dropped)))
    return CertificateView(
        died.sentence, facts, died.advice, "\n".join(map(str, died.stack)), cut_end(died.output)
    )


def chunks_text(plan: Any, step: Any) -> str:
    """All that a step wrote beside its output."""
    action = action_of(plan, step.action_id)
    return "\n".join(chunk_text(chunk.value, action) for chunk in plan.output_chunks(step.action_id))


def _presented(plan: Any, step: Any, action: Any) -> str:
    """What its class says of it, if that is more than the state's own word."""
    if step.phase == Phase.PLAN:
        return ""
    presented = plan.presentation(step.action_id)
    words = [text for text in (presented.state, presented.summary) if text and text != str(step.state)]
    return one_line(shown_text(" – ".join(words), action), 1_000)


def _chunk(chunk: Any, action: Any) -> ChunkView:
    return ChunkView(chunk.time, chunk.kind, cut(chunk_text(chunk.value, action), _CHUNK))


def chunk_text(value: Any, action: Any) -> str:
    """One piece of what a step wrote, as it may be shown."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    return shown_text(value if isinstance(value, str) else data_text(value), action)


def _attempt(attempt: Any, action: Any) -> AttemptView:
    error = None if attempt.error is None else shown_error(attempt.error, action)
    return AttemptView(
        attempt.number,
        attempt.ended_at,
        attempt.execution_time,
        "" if error is None else one_line(f"{error.exception_class}: {error.message}"),
        None if error is None else error.cause,
        CutText("", 0) if error is None else cut_end(error_trace(error), _TRACE),
    )


def _siblings(plan: Any, step: Any) -> list[OtherStep]:
    """The other steps of the same action."""
    action = action_of(plan, step.action_id)
    ids = (action.plan_step_id, action.run_step_id, action.finalize_step_id)
    others = [plan.steps[one] for one in ids if one is not None and one != step.id and one in plan.steps]
    return [OtherStep(other.id, str(other.phase), str(other.state)) for other in others]
