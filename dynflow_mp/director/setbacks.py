"""Whether a step that failed is tried again by itself, and when.

failed ─┬─ a crash took an idempotent step ─▶ at once, up to its third crash
        ├─ its class has a retry policy, the error is one of the policy's, attempts are left ─▶ after a wait
        └─ neither ─▶ the error stands
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dynflow_mp.director.causes import is_crash
from dynflow_mp.model.plans import Setback
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.work import ErrorRecord

MOST_CRASHES = 3
"""How often an idempotent step may take its process down: then it is taken to be the cause."""
_LONGEST_S = 100_000_000.0
_MICRO = 1_000_000

Chance = Callable[[], float]
"""A number from 0 to 1, another one each time."""


class Verdict(NamedTuple):
    """What becomes of a step that failed: its error as it is recorded, its setbacks, whether it is tried again."""

    error: ErrorRecord
    setback: Setback
    again: bool


def after_error(
    policy: ActionPolicy, setback: Setback, retryable: bool, now: int, chance: Chance
) -> Setback | None:
    """The step's setbacks if it is tried again after an error of its code's, else None."""
    retry = policy.retry
    if retry is None or not retryable or setback.retries + 1 >= retry.max_attempts:
        return None
    wait_s = _wait_s(retry.backoff_s, retry.factor, setback.retries)
    wait_s *= 1 + retry.jitter * (2 * chance() - 1)
    due_at = now + int(wait_s * _MICRO) if wait_s > 0 else None
    return setback._replace(due_at=due_at, retries=setback.retries + 1)


def after_loss(
    policy: ActionPolicy, setback: Setback, error: ErrorRecord, now: int, chance: Chance
) -> Verdict:
    """What becomes of a step whose process is gone."""
    if policy.idempotent and is_crash(error.cause) and setback.crashes < MOST_CRASHES:
        setback = setback._replace(due_at=None, crashes=setback.crashes + 1)
        if setback.crashes < MOST_CRASHES:
            return Verdict(error, setback, True)
        error = error._replace(message=f"{error.message} (crashes={setback.crashes})")
    retried = after_error(policy, setback, is_named(policy, error), now, chance)
    return Verdict(error, retried or setback, retried is not None)


def _wait_s(backoff_s: float, factor: float, retries: int) -> float:
    try:
        return min(backoff_s * factor**retries, _LONGEST_S)
    except OverflowError:
        return _LONGEST_S


def is_named(policy: ActionPolicy, error: ErrorRecord | bytes | None) -> bool:
    """Whether the engine ended the step for something that the class's retry policy names."""
    if policy.retry is None or error is None:
        return False
    record = ErrorRecord.from_bytes(error) if isinstance(error, bytes) else error
    return (
        record.cause is not None and record.exception_class.rpartition(".")[2] in policy.retry.engine_errors
    )
