"""One plan while this executor runs it: run phase, finalize phase, end.

    claim ─▶ run flow ─┬─ failed ────────────────────────────▶ rescue
              ▲        └─ done ─▶ finalize (one job) ─┬─ failed ─▶ rescue
              │                                       └─ done ───▶ stopped
              └─ skip ◀─ rescue ─▶ paused | stopped             halt ─▶ stopped

Everything here is decided from what it is told; instructions come back as lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dynflow_mp.director.cancelling import cancellations, told_of
from dynflow_mp.director.causes import abnormal_termination, recorded
from dynflow_mp.director.halting import Halting
from dynflow_mp.director.instructions import (
    DropPlan,
    EndSubPlans,
    Instruction,
    ReadyFinalize,
    ReadySteps,
    Withdraw,
)
from dynflow_mp.director.plan_parts import PlanParts
from dynflow_mp.director.protocol import FINALIZE, Asker
from dynflow_mp.director.step_book import PASSED
from dynflow_mp.director.stimuli import CancelRequested, ChunksWritten, FinalizeFinished, StepDue, StepLost
from dynflow_mp.director.sub_plans import follow
from dynflow_mp.model.policies import RescueStrategy
from dynflow_mp.model.states import PlanState, StepState, check_plan_move
from dynflow_mp.model.sub_plans import Ending
from dynflow_mp.model.work import StepOutcome

_RUNNING, _SUSPENDED = StepState.RUNNING, StepState.SUSPENDED
_ERROR = StepState.ERROR
_LONGEST_NOTE = 200


class RunningPlan(PlanParts):
    """The director's memory of one plan. Owned by the director."""

    __slots__ = ()

    # -- beginning ---------------------------------------------------------------------------------

    def claim(self, now: int) -> list[Instruction]:
        """Take the plan and hand out its first steps."""
        check_plan_move(self.id, self._skeleton.state, PlanState.RUNNING)
        self._tenure.note("start execution", now)
        cut_off, failed = self._failures.interrupted(now)
        started_at = self._skeleton.started_at or now
        claim = self._tenure.claim(self.asker, started_at, self._singletons.to_take)
        begun: list[Instruction] = [claim, *cut_off]
        if failed:
            if self._failures.strategy(failed) is not RescueStrategy.SKIP:
                return [*begun, *self._end(PlanState.PAUSED, now)]
            begun += self._failures.skip(failed)
        begun += [*self._book.retry(), *self._book.skip_silent(), *self._events.wake_ups()]
        self._failures.final = self._deadline.passed(now)
        return [*begun, *self._tenure.begun(now), *self._deadline.reminder(now), *self._taken_up(now)]

    def _taken_up(self, now: int) -> list[Instruction]:
        """What the beginning of the flow yields."""
        first = self._cursor.start()
        if self._failures.final:
            return self._refuse(first, now)
        suspended = self._steps.in_state(first, _SUSPENDED)
        if not suspended:
            return self._hand_out(first, now)
        ready, events = self.deliveries.take_up(first, suspended)
        return [*self._hand_out(ready, now), *events]

    def _hand_out(self, ready: list[int], now: int) -> list[Instruction]:
        """Steps to run at once, and steps to try again later."""
        later = self._failures.reminders(ready, now)
        at_once = [step_id for step_id in ready if step_id not in later] if later else ready
        if at_once:
            return [*later.values(), *self._begin(at_once, now)]
        return [*later.values(), *self._run_phase_ended(now)] if self._cursor.done else [*later.values()]

    # -- steps on their way ------------------------------------------------------------------------

    def _begin(self, ready: list[int], now: int) -> list[Instruction]:
        """Steps may run; those of a singleton class of which another plan is active fail at once."""
        blocked = self._singletons.blocked_among(ready)
        if not blocked:
            return [ReadySteps(self.id, ready)]
        free = [step_id for step_id in ready if step_id not in blocked]
        instructions: list[Instruction] = [ReadySteps(self.id, free)] if free else []
        for step_id in blocked:
            marked = self._book.mark([step_id], now)
            failed = self._book.fail(step_id, self._singletons.error(step_id), now)
            instructions += self._go_on(step_id, _ERROR, [*marked, failed], now)
        return instructions

    def sent(self, step_ids: Sequence[int], now: int) -> list[Instruction]:
        """Mark steps (or FINALIZE, which comes alone) as running, before they leave."""
        if self._halting is not None:
            return []
        if FINALIZE in step_ids:
            return self._finalize.sent(now)
        return self._book.mark(step_ids, now)

    def returned(self, step_ids: Sequence[int], now: int) -> list[Instruction]:
        """What was sent was never begun."""
        of_finalize = FINALIZE in step_ids
        back = self._finalize.returned() if of_finalize else self._book.unmark(step_ids)
        if self._halting is not None:
            return back + self._halt_goes_on(step_ids, now)
        if not self._failures.final:
            return back
        return back + (self._refuse_finalize(now) if of_finalize else self._refuse(step_ids, now))

    def finished(
        self, attempt: int, outcome: StepOutcome, now: int, worker_pid: int | None = None
    ) -> list[Instruction]:
        """Store what came of a step and go on behind it. An outcome nobody waits for changes nothing."""
        step_id = outcome.step_id
        steps = self._steps
        if steps.attempts(step_id) != attempt:
            return []
        if steps.state(step_id) is not _RUNNING:
            if self._book.is_being_skipped(step_id):
                return self._skip_finished(outcome, now, worker_pid)
            return []
        instructions: list[Instruction] = [self._book.save(outcome, worker_pid)]
        if outcome.chunks:
            instructions.append(self._book.chunks(step_id, outcome.chunks))
        if self._events:
            instructions += self._events.done(step_id, now)
        if outcome.events and self._halting is None:
            for planned in outcome.events:
                instructions += self.deliveries.planned(planned, now)
        if outcome.plans or outcome.orders is not None:
            instructions += follow(outcome, self.id, self._epoch, steps.action_id(step_id), now)
        if outcome.state is _ERROR and self._halting is None:
            again = self._failures.after_error(outcome, now)
            if again:
                return instructions + again
        return self._go_on(step_id, outcome.state, instructions, now)

    def _skip_finished(self, outcome: StepOutcome, now: int, worker_pid: int | None) -> list[Instruction]:
        instructions: list[Instruction] = [self._book.save_skip(outcome, worker_pid)]
        if outcome.chunks:
            instructions.append(self._book.chunks(outcome.step_id, outcome.chunks))
        return self._go_on(outcome.step_id, outcome.state, instructions, now)

    def written(self, news: ChunksWritten) -> list[Instruction]:
        """Keep what a running step has written so far."""
        step_id = news.step_id
        if self._book.state_of(step_id) is not _RUNNING or self._steps.attempts(step_id) != news.attempt:
            return []
        return [self._book.chunks(step_id, news.chunks)]

    def lost(self, news: StepLost, now: int) -> list[Instruction]:
        """The worker running a step died: an error that says how, or what it was stopped for."""
        step_id, pid = news.step_id, news.worker_pid
        error = recorded(news.cause, news.message, news.backtrace, news.certificate)
        if step_id == FINALIZE:
            return self._finalize.lost(news.part, error, now, pid) + self._finalize_ended(now)
        if not self._book.is_with_a_worker(step_id):
            return []
        if self._halting is not None or self._book.is_being_skipped(step_id):
            failed: list[Instruction] = [
                self._book.fail(step_id, error, now, pid),
                *self._events.done(step_id, now),
            ]
            return self._go_on(step_id, _ERROR, failed, now)
        instructions, again = self._failures.after_loss(step_id, error, now, pid)
        if again:
            self._events.put_back(step_id)
            return instructions + again
        if self._events:
            instructions += self._events.done(step_id, now)
        return self._go_on(step_id, _ERROR, instructions, now)

    # -- failures ----------------------------------------------------------------------------------

    def step_due(self, news: StepDue, now: int) -> list[Instruction]:
        """The time has come to try a step again."""
        if self._halting is not None or not self._failures.is_due(news):
            return []
        return self._begin([news.step_id], now)

    def _rescued(self, now: int) -> list[Instruction]:
        """The plan can go no further on its own."""
        failed = self._book.failed()
        question = self._failures.ask(failed)
        return self._carry_out(self._failures.strategy(failed), now) if question is None else [question]

    def rescue_told(self, errand_id: int, said: RescueStrategy | None, now: int) -> list[Instruction]:
        """The plan's actions were asked what to do."""
        strategy = self._failures.told(errand_id, self._book.failed(), said)
        return [] if strategy is None else self._carry_out(strategy, now)

    def rescue_untold(self, errand_id: int, reason: str, now: int) -> list[Instruction]:
        """They were asked, and could not tell: people decide."""
        self._tenure.note(f"no rescue strategy: {reason}"[:_LONGEST_NOTE], now)
        return self.rescue_told(errand_id, RescueStrategy.PAUSE, now)

    def _carry_out(self, strategy: RescueStrategy, now: int) -> list[Instruction]:
        if strategy is not RescueStrategy.SKIP:
            ended = PlanState.STOPPED if strategy is RescueStrategy.FAIL else PlanState.PAUSED
            return self._end(ended, now)
        skipped = [*self._failures.skip(self._book.failed()), *self._book.skip_silent()]
        self._cursor = self._fresh_cursor()
        return [*skipped, *self._taken_up(now)]

    # -- the deadline ------------------------------------------------------------------------------

    def expire(self, now: int) -> list[Instruction]:
        """The plan's deadline has come: nothing more begins, what runs is stopped."""
        self._failures.final = True
        if self._halting is not None:
            return []
        if self._finalize.going_on:
            if self._finalize.with_a_worker:
                return [self._deadline.stop(FINALIZE)]
            return [Withdraw(self.id), *self._refuse_finalize(now)]
        out = self._cursor.handed_out()
        stops: list[Instruction] = [
            self._deadline.stop(one) for one in out if self._book.is_with_a_worker(one)
        ]
        return [Withdraw(self.id), *stops, *self._refuse(out, now)]

    def _refuse(self, step_ids: Iterable[int], now: int) -> list[Instruction]:
        refused = self._deadline.refuse(step_ids, self._cursor, now)
        return [*refused, *self._run_phase_ended(now)] if self._cursor.done else refused

    def _refuse_finalize(self, now: int) -> list[Instruction]:
        return [*self._finalize.refused(self._deadline.error(), now), *self._finalize_ended(now)]

    # -- going on ----------------------------------------------------------------------------------

    def _go_on(
        self, step_id: int, state: StepState, instructions: list[Instruction], now: int
    ) -> list[Instruction]:
        """Behind a step that ended or suspended: its events, then what the flow yields."""
        if self._halting is not None:
            return instructions + self._halt_goes_on([step_id], now)
        if state is _SUSPENDED:
            if self._failures.final:
                return instructions + self._refuse([step_id], now)
            return instructions + self.deliveries.next(step_id) if self._events else instructions
        if self._events:
            instructions += self._events.drop(step_id)
        ready = self._cursor.finish(step_id, state in PASSED)
        if ready:
            instructions += self._refuse(ready, now) if self._failures.final else self._begin(ready, now)
        elif self._cursor.done:
            instructions += self._run_phase_ended(now)
        return instructions

    def _run_phase_ended(self, now: int) -> list[Instruction]:
        if self._cursor.failed:
            return self._rescued(now)
        parts = self._finalize.parts()
        if not parts:
            return self._end(PlanState.STOPPED, now)
        if self._failures.final:
            return self._refuse_finalize(now)
        self._finalize.going_on = True
        place = self._singletons.first_blocked(parts)
        if place is None:
            return [ReadyFinalize(self.id, parts)]
        error = self._singletons.error(parts[place])
        return [
            *self._finalize.sent(now),
            *self._finalize.lost(place, error, now),
            *self._finalize_ended(now),
        ]

    # -- finalize ----------------------------------------------------------------------------------

    def finalized(self, news: FinalizeFinished, now: int) -> list[Instruction]:
        """Store what came of the finalize phase; the plan ends with it."""
        if not self._finalize.going_on:
            return []
        instructions = self._finalize.finished(news.outcomes, news.worker_pid)
        return instructions + self._finalize_ended(now)

    def _finalize_ended(self, now: int) -> list[Instruction]:
        if self._halting is not None:
            return self._halt_goes_on([FINALIZE], now)
        return self._rescued(now) if self._finalize.failed else self._end(PlanState.STOPPED, now)

    # -- cancel and halt ---------------------------------------------------------------------------

    def cancel(self, request: CancelRequested, now: int) -> list[Instruction]:
        """Send Cancel or Abort to every step that can take it; who asks is told which those are."""
        active = [] if self._halting is not None else self._book.run_steps
        events = cancellations(self._skeleton, self._steps, active, request)
        taken = [order for event in events for order in self.deliveries.take(event, now)]
        return [*taken, told_of(events, request)]

    @property
    def epoch(self) -> int:
        """The one at which it was claimed."""
        return self._epoch

    @property
    def halting(self) -> bool:
        """Whether it is to be stopped as soon as nothing of it runs."""
        return self._halting is not None

    def halt(self, asker: Asker, now: int) -> list[Instruction]:
        """Begin nothing more, stop what runs; then the plan is stopped."""
        if self._halting is not None:
            self._halting.asked_by(asker)
            return []
        if self._finalize.going_on:
            running = [FINALIZE] if self._finalize.with_a_worker else []
        else:
            running = [step_id for step_id in self._book.run_steps if self._book.is_with_a_worker(step_id)]
        self._halting = Halting(self.id, running)
        self._halting.asked_by(asker)
        self.deliveries.closed = True
        return [DropPlan(self.id), *self._halting.stops(), *self._halt_goes_on((), now)]

    def _halt_goes_on(self, ended: Sequence[int], now: int) -> list[Instruction]:
        halting = self._halting
        assert halting is not None
        for step_id in ended:
            halting.ended(step_id)
        return self.halted(now) if halting.over else []

    def halted(self, now: int) -> list[Instruction]:
        """Stop the plan as it is, and tell everybody."""
        self._tenure.halted()
        error = abnormal_termination(now)
        cut_off = [self._book.fail(step_id, error, now) for step_id in self._book.cut_off()]
        dropped = self._events.drop_all(f"plan {self.id} was halted")
        answers = [] if self._halting is None else self._halting.answers()
        ended = self._end(PlanState.STOPPED, now, "halt execution")
        # Nobody would ever let them start; those that were started go their own ways.
        held_back = EndSubPlans(self.id, None, None, Ending.HELD_BACK)
        return [*cut_off, *dropped, *ended, *answers, held_back]

    # -- ending ------------------------------------------------------------------------------------

    def handed_over(self, now: int, successor_may_run: bool = True) -> list[Instruction]:
        """This executor ends: leave the plan paused and still requested, for the next one."""
        self._tenure.note("terminate execution", now)
        failed = self._book.failed()
        if failed and self._failures.strategy(failed) is RescueStrategy.SKIP:
            return [*self._failures.skip(failed), *self._left(now, False, successor_may_run)]
        return self._left(now, bool(failed), successor_may_run)

    def _left(self, now: int, failed: bool, successor_may_run: bool) -> list[Instruction]:
        left = self._tenure.leave(self.asker, now, failed, successor_may_run)
        self.ended = True
        return left

    def _end(self, state: PlanState, now: int, name: str = "") -> list[Instruction]:
        ended = self._tenure.end(state, self.asker, now, name)
        self.ended = True
        return ended
