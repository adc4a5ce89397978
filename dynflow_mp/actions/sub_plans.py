"""An action that has its work done by plans of their own, and waits for them without holding a worker.

    run() ─▶ create_sub_plans ─▶ suspend        run(SubPlans) something became of them ┐
                                                run(Poll)     every polling_interval   ├─▶ count, start more ─┐
                                                run()         resumed, or after a crash┘                      │
      success ◀── on_finish ◀── all ended well ◀──────────────┬───────────────────────────────────────────────┘
      SubPlanFailed ◀── all ended, some not well ◀────────────┤
      suspend ◀── some have not ended, or are still to be made┘

Whether they have ended is read from the store each time (the context's briefing), and nothing else is
believed: hints may be lost and executors may die, which costs time and nothing more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, ClassVar

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.cancellable import Cancellable
from dynflow_mp.actions.next_run import unrecognized
from dynflow_mp.actions.pace import Pace, checked_level, checked_span
from dynflow_mp.actions.sub_plan import SubPlan
from dynflow_mp.actions.sub_plan_counts import SubPlanCounts
from dynflow_mp.clock import now_us
from dynflow_mp.errors import SubPlanFailed
from dynflow_mp.model.policies import RescueStrategy
from dynflow_mp.model.signals import Signal
from dynflow_mp.model.states import Phase
from dynflow_mp.model.sub_plans import Ending, Orders

_OWN = "dynflow"
"""The key of input and output under which the engine keeps what is its own."""
_UNKNOWN_PROGRESS = 0.1
_LOOK = (Signal.SUB_PLANS, Signal.POLL, Signal.NEXT_BATCH)


class WithSubPlans(Cancellable, abstract=True):
    """Define ``create_sub_plans``: it calls ``self.trigger(…)`` for each sub-plan.

    The step succeeds once all of them have ended well (with a warning, too) and fails with
    :class:`SubPlanFailed` once all have ended and some did not. ``output`` has ``total_count``,
    ``pending_count``, ``failed_count`` and ``success_count``.
    """

    polling_interval: float = 15.0
    """Seconds from one look at the counts to the next, should nobody have hinted at a change."""

    _with_sub_plans: ClassVar[bool] = True
    _counted_sub_plans: SubPlanCounts | None = None
    """As they stand, with what this call has triggered; None outside of run."""
    _made_now: int = 0
    """How many this call has triggered."""

    # -- to be defined -----------------------------------------------------------------------------

    def create_sub_plans(self) -> Any:
        """Trigger the sub-plans."""
        raise NotImplementedError(f"{type(self).__name__} has to define create_sub_plans()")

    def on_finish(self) -> None:
        """Called once all sub-plans have ended well."""

    # -- how many, how fast ------------------------------------------------------------------------

    def limit_concurrency_level(self, level: int) -> None:
        """Never run more than ``level`` sub-plans at once. In plan or run; kept with the action."""
        self._keep_own("concurrency_limit", checked_level(level))

    def distribute_over_time(self, seconds: float, count: int) -> None:
        """Start ``count`` sub-plans evenly over so many seconds; what has not started by then never will."""
        self._keep_own("distribution", list(checked_span(seconds, count)))

    @property
    def concurrency_limit(self) -> int | None:
        """How many sub-plans may run at once; None: any number."""
        level: int | None = self._own_kept("concurrency_limit")
        return level

    @property
    def concurrency_limit_capacity(self) -> int | None:
        """How many more sub-plans could start now under the limit; None without one."""
        limit = self.concurrency_limit
        if limit is None:
            return None
        return max(0, limit - self._standing.active)

    # -- the step ----------------------------------------------------------------------------------

    def run(self, event: Any = None) -> None:
        """Start, look, or end: see above."""
        if event is RescueStrategy.SKIP:
            return
        if event is not Signal.NEXT_BATCH:
            self._count_sub_plans()
        if event is None:
            self._begin_or_resume()
        elif event is Signal.CANCEL:
            self.cancel()
        elif event is Signal.ABORT:
            self.abort()
        elif isinstance(event, Signal) and event in _LOOK:
            self._go_on_with_sub_plans()
        else:
            raise unrecognized(self, event)
        self._show_counts()
        if self._is_over():
            self.on_finish()
        else:
            self._wait_for_sub_plans(anew=event is None)

    def cancel(self) -> None:
        """Start no further sub-plans, and have Cancel sent to those that run."""
        self._end_sub_plans(Ending.CANCEL)

    def abort(self) -> None:
        """Start no further sub-plans, and have Abort sent to those that run."""
        self._end_sub_plans(Ending.ABORT)

    def _end_sub_plans(self, how: Ending) -> None:
        self._note_own("ending", how.value)
        self._context.order(Orders(end=how))

    def trigger(self, kind: type[Action], /, *args: Any, **kwargs: Any) -> SubPlan:
        """As :meth:`Action.trigger`; what the pace does not allow yet is stored, and started later."""
        if self.phase is not Phase.RUN:
            return super().trigger(kind, *args, **kwargs)
        room = self._room_for_more()
        held_back = room is not None and room <= 0
        made = self._context.trigger(kind, args, kwargs, held_back)
        self._counted_sub_plans = _with_one_more(self._standing, made, held_back)
        self._made_now += 1
        return made

    def run_progress(self) -> float:
        """The part of the sub-plans that has ended."""
        shown = self._shown
        total = shown.get("total_count")
        if not total:
            return _UNKNOWN_PROGRESS
        ended = sum(shown.get(name, 0) for name in ("success_count", "failed_count", "cancelled_count"))
        return min(1.0, float(ended / total))

    # -- what follows from the counts --------------------------------------------------------------

    def _begin_or_resume(self) -> None:
        if self._standing.none_could_be_planned:
            # Nobody can repair a plan that could not be planned: once its cause is gone, it is made again.
            self._note_own("resumed_count", self._own_note("resumed_count", 0) + self._standing.unplanned)
            self._count_sub_plans()
        if self._standing.total or self._is_being_ended:
            self._go_on_with_sub_plans()
        else:
            self._note_own("begun_at", _now_s())
            self._begin_sub_plans()

    def _begin_sub_plans(self) -> None:
        _exhaust(self.create_sub_plans())

    def _go_on_with_sub_plans(self) -> None:
        """Start those that were held back, as far as there is room for them now."""
        if not self._standing.held_back:
            return
        if self._is_being_ended:
            # Said before, and the executor died over it.
            self._context.order(Orders(end=Ending.HELD_BACK))
        elif self._pace_of_starts().over(self._since_begun_s()):
            self._give_up_waiting()
        else:
            self._start_held_back()

    def _start_held_back(self) -> None:
        ids = self._context.briefing().held_back
        room = self._room_for_more()
        chosen = ids if room is None else ids[:room]
        if chosen:
            self._context.order(Orders(start=chosen))
            self._counted_sub_plans = self._standing._replace(
                held_back=self._standing.held_back - len(chosen)
            )

    def _give_up_waiting(self) -> None:
        """They could not be started within the time they were to be spread over."""
        self._context.order(Orders(end=Ending.HELD_BACK))

    def _is_over(self) -> bool:
        """Whether all have ended. Raises :class:`SubPlanFailed` if they did not all end well."""
        if self._made_now or self._counted_sub_plans is None:
            return False  # to fail or to finish now would be to say so of what is not stored yet
        counts = self._standing
        if not counts.none_could_be_planned and (counts.pending or self._left_to_make):
            return False
        if counts.failed or self._never_made:
            raise SubPlanFailed(counts.failed, self._never_made)
        return True

    @property
    def _left_to_make(self) -> int:
        """How many sub-plans are still to be triggered."""
        return 0

    @property
    def _never_made(self) -> int:
        """How many sub-plans will not be triggered any more."""
        return 0

    @property
    def _is_being_ended(self) -> bool:
        return self._own_note("ending") is not None

    # -- waiting -----------------------------------------------------------------------------------

    def _wait_for_sub_plans(self, anew: bool) -> None:
        """Suspend until something becomes of the sub-plans, or it is time to look or to start one.

        ``anew``: timers set by earlier calls may be gone.
        """
        more = self._more_to_do()
        if more is not None:
            self.plan_event(more)
        self._wake_in(Signal.POLL, self.polling_interval, "poll_at", anew)
        if self._standing.held_back or self._left_to_make:
            due_s = self._pace_of_starts().next_start_s(self._standing.started)
            if due_s is not None:
                self._wake_in(Signal.SUB_PLANS, max(0.001, due_s - self._since_begun_s()), "start_at", anew)
        self.suspend()

    def _more_to_do(self) -> Signal | None:
        """What to be woken by at once, if nobody else would although there is something to do."""
        if self._counted_sub_plans is None:
            return Signal.SUB_PLANS
        alone = self._made_now and not self._standing.active and not self._standing.held_back
        return Signal.SUB_PLANS if alone else None

    def _wake_in(self, event: Signal, delay_s: float, name: str, anew: bool) -> None:
        """One timer of each kind at a time: it lasts longer than calls and executors do."""
        now, due = _now_s(), self._own_note(name)
        if anew or due is None or now >= due or now + delay_s < due:
            self._note_own(name, now + delay_s)
            self.plan_event(event, delay_s, optional=True)

    # -- counts ------------------------------------------------------------------------------------

    def _count_sub_plans(self) -> None:
        before = self._own_note("resumed_count", 0)
        self._counted_sub_plans = SubPlanCounts.of(self._context.briefing(), before)

    def _show_counts(self) -> None:
        counts = self._standing
        self.output.update(
            total_count=counts.total,
            pending_count=counts.pending,
            failed_count=counts.failed,
            success_count=counts.success,
        )
        if counts.warned:
            self.output["warning_count"] = counts.warned

    @property
    def _standing(self) -> SubPlanCounts:
        return self._last_shown() if self._counted_sub_plans is None else self._counted_sub_plans

    def _last_shown(self) -> SubPlanCounts:
        """As the last call left them in the output, for whom has not had them counted."""
        names = ("total", "success", "failed", "pending")
        return SubPlanCounts(*(self._shown.get(f"{name}_count", 0) for name in names))

    @property
    def _shown(self) -> dict[str, Any]:
        """What calls have written so far: nothing while the action is planned."""
        written: dict[str, Any] = {} if self.phase is Phase.PLAN else self.output
        return written

    # -- the pace ----------------------------------------------------------------------------------

    def _room_for_more(self) -> int | None:
        """How many more may start now; None: any number."""
        return self._pace_of_starts().room(
            self._standing.active, self._standing.started, self._since_begun_s()
        )

    def _pace_of_starts(self) -> Pace:
        distribution = self._own_kept("distribution")
        return Pace(self.concurrency_limit, *(distribution or ()))

    def _since_begun_s(self) -> float:
        """Since the first sub-plan could start."""
        begun_at: float | None = self._own_note("begun_at")
        return 0.0 if begun_at is None else max(0.0, _now_s() - begun_at)

    # -- what is kept ------------------------------------------------------------------------------

    def _keep_own(self, name: str, value: Any) -> None:
        values = self.input if self.phase is Phase.PLAN else self.output
        values.setdefault(_OWN, {})[name] = value

    def _own_kept(self, name: str) -> Any:
        """What run has set stands before what plan has."""
        later = self._shown.get(_OWN, {})
        return later[name] if name in later else self.input.get(_OWN, {}).get(name)

    def _note_own(self, name: str, value: Any) -> None:
        self.output.setdefault(_OWN, {})[name] = value

    def _own_note(self, name: str, default: Any = None) -> Any:
        return self.output.get(_OWN, {}).get(name, default)


def _with_one_more(counts: SubPlanCounts, made: SubPlan, held_back: bool) -> SubPlanCounts:
    total = counts.total + 1
    if made.failed:
        return counts._replace(total=total, failed=counts.failed + 1, unplanned=counts.unplanned + 1)
    return counts._replace(
        total=total, pending=counts.pending + 1, held_back=counts.held_back + (1 if held_back else 0)
    )


def _now_s() -> float:
    """As the world's clock has it: in a test that may be a clock that is wound by hand."""
    return now_us() / 1_000_000


def _exhaust(made: Any) -> None:
    """``create_sub_plans`` may return what it triggered, also as a generator that triggers as it goes."""
    if isinstance(made, Iterable) and not isinstance(made, SubPlan):
        deque(made, maxlen=0)
