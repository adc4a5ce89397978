"""What a turn wants written: named by the director, carried out by the store in one transaction.

Every write names its plan, so that a turn can be replayed plan by plan and a lost plan's writes
left out (decisions.md 4). Times are microseconds UTC, durations seconds.
"""

from __future__ import annotations

from typing import NamedTuple

from dynflow_mp.model.plans import HistoryEntry
from dynflow_mp.model.states import PlanState, Result, StepState
from dynflow_mp.model.work import OutputChunk
from dynflow_mp.redaction import discreet


class ClaimPlan(NamedTuple):
    """Take a plan nobody owns: its row, still at ``epoch_read``, becomes this world's and ``running``.

    Refused (the plan is lost) when the row has an owner, another epoch, or is gone.
    """

    plan_id: str
    world_id: str
    epoch_read: int
    history: tuple[HistoryEntry, ...]
    started_at: int | None
    client_id: str | None
    request_id: str | None
    singletons: tuple[str, ...] = ()
    """Classes whose lock the plan must hold; refused as well when another plan has one of them."""


class SavePlan(NamedTuple):
    """A running plan's new state. ``release`` also gives it up (no owner) and clears the request."""

    plan_id: str
    epoch: int
    state: PlanState
    result: Result
    history: tuple[HistoryEntry, ...]
    ended_at: int | None
    execution_time: float
    real_time: float
    release: bool = True
    keep_requested: bool = False
    frees_locks: bool = False
    """Whether it gives up the locks of its singleton classes."""
    frees_key: bool = False
    """Whether it gives up its unique key."""


class MarkRunning(NamedTuple):
    """A step is about to be sent: guarded by its state and number of attempts so far."""

    plan_id: str
    epoch: int
    step_id: int
    from_state: StepState
    attempt: int
    """The number of this attempt; the row must still hold ``attempt - 1``."""
    started_at: int


class UnmarkRunning(NamedTuple):
    """A step that was sent was never begun: back to what it was, the attempt uncounted."""

    plan_id: str
    epoch: int
    step_id: int
    to_state: StepState
    attempt: int


class ResetStep(NamedTuple):
    """A step that ended in an earlier attempt at the plan goes back to ``pending``.

    One that failed, when the plan is resumed; each finalize step, since finalize restarts whole.
    """

    plan_id: str
    epoch: int
    step_id: int


class MoveStep(NamedTuple):
    """A step that no call of its code moves: it is skipped, or to be tried again.

    Guarded by state and attempts. ``due_at``, ``retries`` and ``crashes`` become the row's; ``forget_error``: its
    error is told by the attempts before only.
    """

    plan_id: str
    epoch: int
    step_id: int
    from_state: StepState
    from_attempts: int
    to_state: StepState
    to_attempts: int
    due_at: int | None = None
    retries: int | None = None
    crashes: int | None = None
    forget_error: bool = False


@discreet
class SaveOutcome(NamedTuple):
    """What came of one attempt: the step's row, guarded by (``from_state``, attempt), and its action's.

    ``output``/``input``/``error`` None: unchanged, unchanged, none; ``progress_weight`` None: as planned; ``worker_pid``
    None: not known.
    """

    plan_id: str
    epoch: int
    step_id: int
    action_id: int
    from_state: StepState
    attempt: int
    state: StepState
    ended_at: int
    execution_time: float
    real_time: float
    progress_done: float
    progress_weight: float | None
    output: bytes | None
    input: bytes | None
    error: bytes | None
    worker_pid: int | None = None


class AddChunks(NamedTuple):
    """Pieces of output, in their order; ``base`` is below the ids they get, and above those of earlier calls.

    One that is there already is left as it is. One without bytes drops all that have a lower id.
    """

    plan_id: str
    epoch: int
    action_id: int
    base: int
    chunks: tuple[OutputChunk, ...]


class NoteHooks(NamedTuple):
    """Hooks are to be called, for these kinds, since the plan's state changed so. ``id``: which change of this plan."""

    plan_id: str
    epoch: int
    id: int
    kinds: tuple[str, ...]
    state: PlanState
    result: Result
    noted_at: int


@discreet
class RecordEvent(NamedTuple):
    """An event was accepted for a step; ``id`` is its request's id (recording twice changes nothing)."""

    plan_id: str
    epoch: int
    step_id: int
    id: str
    data: bytes
    client_id: str | None
    due_at: int | None
    recorded_at: int
    """When, and no two events of a plan at the same time: the order in which they are taken."""


class ForgetEvents(NamedTuple):
    """Events that were dropped, that nobody asks about any more, or that only the plan itself knew of."""

    plan_id: str
    epoch: int
    ids: tuple[str, ...]


class MarkEventsTaken(NamedTuple):
    """Events were taken: what they said is forgotten, that they were taken is not, since who sent them may ask again."""

    plan_id: str
    epoch: int
    ids: tuple[str, ...]
    taken_at: int


@discreet
class PostEvent(NamedTuple):
    """A step of this plan has an event sent to a step of another plan; by ``world_id``, or whoever outlives it."""

    plan_id: str
    epoch: int
    id: str
    world_id: str
    to_plan_id: str
    to_step_id: int
    data: bytes
    optional: bool
    due_at: int | None
    posted_at: int


@discreet
class StorePlan(NamedTuple):
    """A sub-plan that a step of this plan triggered is stored whole, with the step's outcome.

    ``plan`` are the bytes of :func:`~dynflow_mp.model.planned_codec.plan_to_bytes`. ``requested_at`` None: it is not to
    be run (now).
    """

    plan_id: str
    epoch: int
    plan: bytes
    requested_at: int | None


class RequestPlan(NamedTuple):
    """A sub-plan of this plan that was held back is to be run. One that was asked for already stays as it is."""

    plan_id: str
    epoch: int
    sub_plan_id: str
    requested_at: int


Write = (
    ClaimPlan
    | SavePlan
    | MarkRunning
    | UnmarkRunning
    | ResetStep
    | MoveStep
    | SaveOutcome
    | AddChunks
    | NoteHooks
    | RecordEvent
    | ForgetEvents
    | MarkEventsTaken
    | PostEvent
    | StorePlan
    | RequestPlan
)
