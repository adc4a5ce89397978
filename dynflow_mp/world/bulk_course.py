"""What is decided about doing the same to many plans: which can have it done, what counts as failed, when it is enough.

Pure: what was read and what came is given, counts and reasons are returned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

from dynflow_mp.errors import (
    AlreadyRunning,
    BadArgument,
    NotCancellable,
    NotSkippable,
    PlanNotFound,
    PlanStopped,
)
from dynflow_mp.model.states import PlanState, Result

MOST_AT_ONCE = 200
_SHOWN = 300


class Deed(StrEnum):
    """What is done to each plan."""

    RESUME = "resume"
    CANCEL = "cancel"
    SKIP_AND_RESUME = "skip_and_resume"
    HALT = "halt"


class Standing(Protocol):
    """What is read about a plan before anything is done to it."""

    @property
    def state(self) -> PlanState: ...
    @property
    def result(self) -> Result: ...
    @property
    def owner_id(self) -> str | None: ...
    @property
    def requested_at(self) -> int | None: ...


class BulkPreview(NamedTuple):
    """To how many of the plans it could be done just now, and how many could not have it done, by why not."""

    total: int
    eligible: int
    refused: dict[str, int]


class BulkProgress(NamedTuple):
    """How far it is: ``total`` is ``done`` (succeeded, failed or skipped), ``running`` and ``left`` together.

    Skipped were those to which it could not be done (any more). ``running``: begun, and not ended yet.
    ``over``: nothing more comes; those that are left then were never begun, and those that run were running when the
    world ended.
    """

    total: int
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    running: int = 0
    stopped_because: str | None = None
    """Why it stopped before the end; None if it did not."""
    over: bool = False

    @property
    def done(self) -> int:
        """How many have ended, one way or another."""
        return self.succeeded + self.failed + self.skipped

    @property
    def left(self) -> int:
        """How many were not begun."""
        return self.total - self.done - self.running


class End(NamedTuple):
    """What came of one plan: ``error`` is what its failure has in common with others' like it."""

    how: str
    error: str | None = None


SUCCEEDED, SKIPPED = End("succeeded"), End("skipped")

_AT_WORK = (PlanState.RUNNING, PlanState.SCHEDULED, PlanState.PLANNING)
_NOT_ANY_MORE = (AlreadyRunning, PlanStopped, PlanNotFound, NotSkippable, NotCancellable)
"""Others were quicker: the plan is not as it was when it was chosen."""


def deed_of(given: object) -> Deed:
    """Raises :class:`BadArgument`."""
    try:
        return Deed(given)  # type: ignore[arg-type]  # anything a caller may give
    except ValueError:
        raise BadArgument(f"deed={given!r}: must be one of {', '.join(Deed)}") from None


def why_not(deed: Deed, standing: Standing | None) -> str | None:
    """Why it cannot be done to a plan that stands so; None if it can."""
    if standing is None:
        return "is not stored"
    state = standing.state
    if state is PlanState.STOPPED:
        return "is stopped"
    if deed is Deed.HALT:
        return None
    if deed is Deed.CANCEL:
        return None if state in _AT_WORK else f"is {state}: nothing of it can be cancelled"
    if state is PlanState.RUNNING or standing.owner_id is not None:
        return "is running"
    if state is not PlanState.PAUSED:
        return f"is {state}, not paused"
    if standing.requested_at is not None:
        return "is resumed already, and waits for an executor"
    if deed is Deed.SKIP_AND_RESUME and standing.result is not Result.ERROR:
        return "has no failed step"
    return None


def preview(deed: Deed, plan_ids: Iterable[str], standings: Mapping[str, Standing]) -> BulkPreview:
    """What would come of it if it were begun now."""
    reasons = [why_not(deed, standings.get(plan_id)) for plan_id in plan_ids]
    refused = Counter(reason for reason in reasons if reason is not None)
    return BulkPreview(len(reasons), len(reasons) - refused.total(), dict(refused.most_common()))


def end_of_resumed(state: PlanState, result: Result, error: str | None) -> End:
    """What came of a plan that was resumed, now that its attempt has ended; ``error`` is its failed step's."""
    if state is PlanState.STOPPED and result is not Result.ERROR:
        return SUCCEEDED
    return End("failed", error or f"it is {state}, its result {result}")


def end_of_refused(error: BaseException) -> End:
    """What came of a plan to which it could not be done."""
    if isinstance(error, _NOT_ANY_MORE):
        return SKIPPED
    return End("failed", type(error).__name__)


class Course:
    """How it goes, and when it is enough. Owned by the thread of its run; others read ``progress``."""

    def __init__(self, total: int, stop_on_same_error: int | None) -> None:
        self.progress = BulkProgress(total)
        self._most = stop_on_same_error
        self._errors: Counter[str] = Counter()

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be begun."""
        return self.progress.stopped_because is not None

    def begun(self) -> None:
        """One more plan is being dealt with."""
        self.progress = self.progress._replace(running=self.progress.running + 1)

    def refused(self) -> None:
        """One could not be begun: it is not as it has to be."""
        self.progress = self.progress._replace(skipped=self.progress.skipped + 1)

    def ended(self, end: End) -> None:
        """What came of one that was begun; so many of the same error are enough."""
        count = getattr(self.progress, end.how) + 1
        self.progress = self.progress._replace(running=self.progress.running - 1, **{end.how: count})
        if end.error is None or self._most is None:
            return
        self._errors[end.error] += 1
        if self._errors[end.error] >= self._most:
            times = self._errors[end.error]
            self.stop(f"the same error came back {times} time{'' if times == 1 else 's'}: {_cut(end.error)}")

    def stop(self, reason: str) -> None:
        """Nothing more is begun. The first reason stands."""
        if not self.stopped and not self.progress.over:
            self.progress = self.progress._replace(stopped_because=reason)

    def finish(self) -> None:
        """Nothing more comes."""
        self.progress = self.progress._replace(over=True)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
