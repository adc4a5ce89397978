"""What the API answers with, and takes: shapes that its OpenAPI tells."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, JsonValue, PlainSerializer, WithJsonSchema

from dynflow_mp.console.bulk_runs import ENOUGH_OF_THE_SAME, MOST_OF_THE_SAME
from dynflow_mp.reading.data_shape import time_shape

MOST_PER_PAGE = 500
LARGEST_STEP_ID = 2**31 - 1

PlanId = Annotated[str, Path(json_schema_extra={"format": "uuid"}, max_length=60)]
StepId = Annotated[int, Path(ge=1, le=LARGEST_STEP_ID)]
WorldId = Annotated[str, Path(min_length=1, max_length=100)]
Page = Annotated[int, Query(ge=0, le=1_000_000, description="Counts from 0.")]
PerPage = Annotated[int, Query(ge=1, le=MOST_PER_PAGE)]
Time = Annotated[
    datetime,
    PlainSerializer(time_shape, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Written as the command line writes times."""


class Problem(BaseModel):
    """Why a request was refused. There may be more: ``field``, ``kind``, ``plan_id``, ``state``, ``result``."""

    model_config = ConfigDict(extra="allow")
    status: int
    error: str


class Outcome(BaseModel):
    """What a deed came to; answered with 202 while it is under way. There may be more: ``plan_id``, ``state`` …"""

    model_config = ConfigDict(extra="allow")
    finished: bool
    sentence: str


class Line(BaseModel):
    """A plan in a list."""

    id: str
    label: str
    action_class: str | None
    state: str
    result: str
    created_at: Time | None
    started_at: Time | None
    ended_at: Time | None
    duration_s: float | None
    progress: float | None
    step_count: int
    owner_id: str | None
    caller_execution_plan_id: str | None
    valid: bool


class Lines(BaseModel):
    """A page of a list; ``total`` plans are in it. ``cut``: errors were searched in the newest plans only."""

    plans: list[Line]
    total: int
    page: int
    per_page: int
    cut: bool


class Past(BaseModel):
    """One line of a plan's history."""

    time: Time
    name: str
    world_id: str | None
    by: str | None


class Delay(BaseModel):
    """What a scheduled plan waits for."""

    start_at: Time | None
    start_before: Time | None
    frozen: bool
    prerequisites: list[str]


class PlanFacts(BaseModel):
    """One plan. ``step_counts`` are numbers by state; what is wrong with one that is not ``valid`` is in ``problem``."""

    id: str
    label: str
    state: str
    result: str
    valid: bool
    problem: str | None
    started_at: Time | None
    ended_at: Time | None
    deadline: Time | None
    execution_time_s: float
    real_time_s: float
    progress: float | None
    cancellable: bool
    step_counts: dict[str, int]
    sub_plans_count: int
    caller_execution_plan_id: str | None
    caller_action_id: int | None
    delay: Delay | None
    history: list[Past]


class ShortError(BaseModel):
    """Why a step failed."""

    class_: str = Field(alias="class")
    message: str
    cause: str | None


class FullError(ShortError):
    """The same with its trace, and what is known of the end of its worker."""

    backtrace: list[str]
    certificate: JsonValue = None


class StepFacts(BaseModel):
    """One step; times of a step that waits for its next attempt are in ``due_at``."""

    id: int
    phase: str
    state: str
    action_id: int
    action_class: str
    queue: str | None
    attempts: int
    retries: int
    crashes: int
    started_at: Time | None
    ended_at: Time | None
    due_at: Time | None
    execution_time_s: float
    real_time_s: float
    progress: float
    weight: float
    worker_pid: int | None
    error: ShortError | None


class Steps(BaseModel):
    """A page of a plan's steps."""

    steps: list[StepFacts]
    total: int
    page: int
    per_page: int


class Attempt(BaseModel):
    """An attempt that failed."""

    number: int
    ended_at: Time | None
    execution_time_s: float
    error: FullError | None


class StepWhole(StepFacts):
    """One step with its data, as it may be shown: secrets are masked. What JSON does not have is tagged: ``{"$date": "…"}``."""

    plan_id: str
    input: JsonValue
    output: JsonValue
    error: FullError | None
    failed_attempts: list[Attempt]


class World(BaseModel):
    """A world's record."""

    id: str
    executor: bool
    state: str
    degraded: str | None
    meta: dict[str, JsonValue]


class Worlds(BaseModel):
    """Executors, then clients."""

    worlds: list[World]
    own: str


class HeldLock(BaseModel):
    """A lock, and who has it."""

    class_: str = Field(alias="class")
    id: str
    owner_id: str
    epoch: int | None
    plan_id: str | None
    world_id: str | None


class Locks(BaseModel):
    """A page of the locks."""

    locks: list[HeldLock]
    total: int
    page: int
    per_page: int


class Taken(BaseModel):
    """What is sent: nothing but what is known, and of the kinds that are told."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Resume(Taken):
    """``sub_plans``: also failed plans below it."""

    sub_plans: bool = False


class Cancel(Taken):
    """``force``: have steps give up at once."""

    force: bool = False


class SkipOne(Taken):
    """The failed step; of skip-and-resume none means all failed ones."""

    step_id: int = Field(ge=1, le=LARGEST_STEP_ID)


class SkipAndResume(Taken):
    """The failed step; none: all of them."""

    step_id: int | None = Field(default=None, ge=1, le=LARGEST_STEP_ID)


class EditInput(Taken):
    """Keys and their new values, tagged as a step's input is; ``replace``: these are all there are."""

    changes: dict[str, Any]
    replace: bool = False


class SendEvent(Taken):
    """Any plain datum, tagged where JSON does not have it; ``optional``: it is no error if the step does not wait any more."""

    event: Any = None
    optional: bool = False


Pair = Annotated[list[str], Field(min_length=2, max_length=2)]


class Bulk(Taken):
    """A deed, and the plans: their ids, or the query of a list (as its address has it: pairs of names and texts).

    ``stop_on_same_error``: with so many of the same error it ends by itself; null: it does not.
    """

    deed: str
    plan_ids: list[str] | None = Field(default=None, max_length=10_000)
    query: list[Pair] | None = Field(default=None, max_length=200)
    stop_on_same_error: int | None = Field(default=ENOUGH_OF_THE_SAME, ge=1, le=MOST_OF_THE_SAME)
