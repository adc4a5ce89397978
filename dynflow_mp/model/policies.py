"""What an action class asks of the engine, frozen once per class per plan when the plan is made.

A class may change in the code while plans made with its old form still run: those keep what they
were planned with (decisions.md 15).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any, NamedTuple

DEFAULT_QUEUE = "default"


class RescueStrategy(str, Enum):
    """What to do about a failed step (dynflow-core.md §11.4)."""

    SKIP = "skip"
    PAUSE = "pause"
    FAIL = "fail"

    __str__ = str.__str__


Skip, Pause, Fail = RescueStrategy.SKIP, RescueStrategy.PAUSE, RescueStrategy.FAIL
"""By the names that users know; ``Skip`` is also the event of a step that is being skipped."""


RESCUE = "rescue"
"""The kind of errand by which actions are asked for their strategies, where their classes want to be asked."""


def combined_strategy(strategies: Iterable[str | None]) -> RescueStrategy | None:
    """What several failures come to: what all opinions agree on, else pause. None is no opinion."""
    opinions = {strategy for strategy in strategies if strategy is not None}
    if not opinions:
        return None
    return RescueStrategy(opinions.pop()) if len(opinions) == 1 else RescueStrategy.PAUSE


class RetryPolicy(NamedTuple):
    """When a failed run step is tried again by itself; see :class:`~dynflow_mp.model.retries.Retry`."""

    max_attempts: int
    backoff_s: float
    factor: float
    jitter: float
    engine_errors: tuple[str, ...] = ()
    """Errors of the engine's own (their class names) that count as errors to try again after."""

    @classmethod
    def from_data(cls, data: list[Any]) -> RetryPolicy:
        attempts, backoff_s, factor, jitter, engine_errors = data
        return cls(attempts, backoff_s, factor, jitter, tuple(engine_errors))


class ActionPolicy(NamedTuple):
    """One action class's facts, as data."""

    queue: str | None = None
    """Named pool for its run and finalize steps; None takes the triggering action's, then ``default``."""
    accepts_event: bool = False
    """Whether ``run`` has a parameter besides ``self``."""
    rescue_strategy: str | None = RescueStrategy.PAUSE.value
    """None: no opinion."""
    idempotent: bool = False
    """Whether a run step that a crash interrupted may be run again by itself."""
    cancellable: bool = False
    """Whether its steps can be sent Cancel and Abort."""
    run_timeout_s: float | None = None
    """How long one call of ``run`` may take."""
    memory_limit: int | None = None
    """How many bytes its worker may have resident while ``run`` is called."""
    with_sub_plans: bool = False
    """Whether ``run`` is told how the sub-plans of its action stand."""
    singleton: bool = False
    """Whether no two plans with an action of the class may be active."""
    retry: RetryPolicy | None = None
    asks_for_rescue: bool = False
    """Whether the class overrides a method that tells rescue strategies: then its actions are asked."""
    hooks: str = ""
    """What its hooks are called for, parted by spaces."""
    sensitive: tuple[str, ...] = ()
    """Paths in its input and output that are not shown, also where the class is not known."""

    def to_data(self) -> list[Any]:
        return [list(field) if isinstance(field, tuple) else field for field in self]

    @classmethod
    def from_data(cls, data: list[Any]) -> ActionPolicy:
        """Policies of plans made by an earlier version have fewer fields: the others are as by default."""
        policy = cls(*data[: len(cls._fields)])
        retry: Any = policy.retry
        return policy._replace(
            sensitive=tuple(policy.sensitive),
            retry=None if retry is None else RetryPolicy.from_data(retry),
        )
