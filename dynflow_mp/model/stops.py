"""What a step that runs may be stopped for, and the error it ends with.

The cause is recorded with the error, whether the step's own code was left by an exception or its worker
had to be killed.
"""

from __future__ import annotations

from collections.abc import Mapping

from dynflow_mp.errors import (
    DeadlineExceeded,
    DynflowError,
    MemoryLimitExceeded,
    RunTimeout,
    StepHalted,
    StepStopped,
)

TIMEOUT, MEMORY_LIMIT, HALTED, DEADLINE = "timeout", "memory_limit", "halted", "deadline"
EXECUTOR_ENDED = "executor_ended"
"""Its executor ends and could wait no longer: nothing that the step did, so it counts as a crash."""
STOOD_STILL = "stood_still"
"""Somebody stopped its worker with a signal and did not let it go on: nothing that the step did, either."""

ERRORS: Mapping[str, type[DynflowError]] = {
    TIMEOUT: RunTimeout,
    MEMORY_LIMIT: MemoryLimitExceeded,
    HALTED: StepHalted,
    DEADLINE: DeadlineExceeded,
}


def error_of(cause: str) -> type[DynflowError]:
    """The class of error for a step that was stopped for ``cause``."""
    return ERRORS.get(cause, StepStopped)


def name_of(kind: type[DynflowError]) -> str:
    """As errors of steps are recorded: readers find the class again by it."""
    return f"{kind.__module__}.{kind.__qualname__}"
