"""What the engine's errors are over HTTP."""

from __future__ import annotations

from typing import Any

from dynflow_mp.console.refusals import Refused
from dynflow_mp.errors import (
    BadArgument,
    ConnectorError,
    DamagedData,
    DataError,
    DynflowError,
    FormatError,
    InvalidPlan,
    LockTaken,
    NoExecutor,
    PersistenceError,
    PlanNotFound,
    QueryError,
    RecordNotFound,
    RequestError,
    RequestTimeout,
    TooManyRequests,
    UnknownReceiver,
    WorldFenced,
    WorldTerminated,
)
from dynflow_mp.telemetry import logger

log = logger("console")

_STATUS: tuple[tuple[type[DynflowError], int], ...] = (
    (PlanNotFound, 404),
    (RecordNotFound, 404),
    (UnknownReceiver, 404),
    (QueryError, 400),
    (BadArgument, 400),
    (DataError, 400),
    (FormatError, 400),
    (TooManyRequests, 503),
    (WorldTerminated, 503),
    (WorldFenced, 503),
    (NoExecutor, 503),
    (RequestTimeout, 504),
    (InvalidPlan, 409),
    (DamagedData, 409),
    (LockTaken, 409),
    (RequestError, 409),
    (PersistenceError, 503),
    (ConnectorError, 503),
)
"""The first that fits."""


def refused_of(error: DynflowError, **facts: Any) -> Refused:
    """An error of the engine as an answer: 404 for what is not there, 400 for what cannot be meant, 409 for what
    the state of things does not allow, 503 for what may pass."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if status == 500:
        log.error("what was asked broke the console", exc_info=error, extra={"action": "console_error"})
        return Refused(500)
    plan_id = getattr(error, "plan_id", None)
    if plan_id is not None:
        facts.setdefault("plan_id", plan_id)
    field = getattr(error, "field", None)
    if field is not None:
        facts.setdefault("field", field)
    return Refused(status, str(error), {}, kind=type(error).__name__, **facts)
