"""What is done by itself about the failed steps of one plan: try them again, skip them, or let their errors stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from dynflow_mp.director.causes import abnormal_termination
from dynflow_mp.director.instructions import Instruction, ReadySteps, RemindAt, RunErrand
from dynflow_mp.director.rescue import Rescue
from dynflow_mp.director.setbacks import Chance, Verdict, after_error, after_loss, is_named
from dynflow_mp.director.skipping import skipped_with
from dynflow_mp.director.step_book import StepBook
from dynflow_mp.director.stimuli import StepDue
from dynflow_mp.model.codec import encode
from dynflow_mp.model.plans import PlanSkeleton, Setback
from dynflow_mp.model.policies import RESCUE, RescueStrategy, combined_strategy
from dynflow_mp.model.states import StepState
from dynflow_mp.model.work import ErrorRecord, StepOutcome


class Conduct(NamedTuple):
    """How an executor treats failures, whatever the plan."""

    auto_rescue: bool = True
    """Whether the failed steps' rescue strategies are carried out; else each failure pauses its plan."""
    chance: Chance = lambda: 0.5
    """Where the jitter of retries comes from."""


DEFAULT_CONDUCT = Conduct()
_QUESTIONS = 1_000_000


class Failures:
    """Owned by the running plan."""

    __slots__ = ("_asks", "_book", "_conduct", "_epoch", "_question", "_rescue", "_skeleton", "final")

    def __init__(self, skeleton: PlanSkeleton, book: StepBook, conduct: Conduct, epoch: int) -> None:
        self._skeleton, self._book, self._conduct = skeleton, book, conduct
        self._epoch = epoch
        self._asks = any(policy.asks_for_rescue for policy in skeleton.policies.values())
        self._question = 0
        self._rescue = Rescue()
        self.final = False
        """Whether each failure is the last: nothing is tried again or rescued any more."""

    # -- trying again ------------------------------------------------------------------------------

    def after_error(self, outcome: StepOutcome, now: int) -> list[Instruction]:
        """A step failed and could say so: how it is tried again; nothing if its error stands."""
        step_id = outcome.step_id
        policy, setback = self._book.policy_of(step_id), self._book.setback_of(step_id)
        if policy.retry is None or self.final:
            return []
        retryable = outcome.retryable or is_named(policy, outcome.error)
        retried = after_error(policy, setback, retryable, now, self._conduct.chance)
        return [] if retried is None else self._again(step_id, retried)

    def after_loss(
        self, step_id: int, error: ErrorRecord, now: int, worker_pid: int | None = None
    ) -> tuple[list[Instruction], list[Instruction]]:
        """A step's process is gone: what is written about it, and how it is tried again, if it is."""
        verdict = self._verdict(step_id, error, now)
        written: list[Instruction] = [self._book.fail(step_id, verdict.error, now, worker_pid)]
        if verdict.again:
            return written, self._again(step_id, verdict.setback)
        return written + self._book.note_setback(step_id, verdict.setback), []

    def _verdict(self, step_id: int, error: ErrorRecord, now: int) -> Verdict:
        policy, setback = self._book.policy_of(step_id), self._book.setback_of(step_id)
        if self.final or step_id in self._book.finalize_steps:
            return Verdict(error, setback, False)
        return after_loss(policy, setback, error, now, self._conduct.chance)

    def _again(self, step_id: int, setback: Setback) -> list[Instruction]:
        move = self._book.again(step_id, setback)
        if setback.due_at is None:
            return [move, ReadySteps(self._book.plan_id, [step_id])]
        return [move, self._remind(step_id, setback.due_at)]

    def _remind(self, step_id: int, due_at: int) -> RemindAt:
        plan_id = self._book.plan_id
        return RemindAt(due_at, plan_id, StepDue(plan_id, step_id, due_at))

    def is_due(self, news: StepDue) -> bool:
        """Whether a step whose time has come is to be tried again: something else may have become of it."""
        waits = self._book.state_of(news.step_id) is StepState.PENDING
        return waits and self._book.setback_of(news.step_id).due_at == news.due_at

    def reminders(self, ready: Iterable[int], now: int) -> dict[int, RemindAt]:
        """Those of these steps that have to wait until they are tried again."""
        found: dict[int, RemindAt] = {}
        for step_id in ready:
            due_at = self._book.setback_of(step_id).due_at
            if due_at is not None and due_at > now and self._book.state_of(step_id) is StepState.PENDING:
                found[step_id] = self._remind(step_id, due_at)
        return found

    def interrupted(self, now: int) -> tuple[list[Instruction], list[int]]:
        """Steps whose executor died: what is written about them, and which of them are errors now."""
        error = abnormal_termination(now)
        written: list[Instruction] = []
        failed: list[int] = []
        for step_id in self._book.cut_off():
            charged, again = self.after_loss(step_id, error, now)
            # When it runs again is for whoever takes the plan up.
            written += charged + again[:1]
            if not again:
                failed.append(step_id)
        return written, failed

    # -- rescue ------------------------------------------------------------------------------------

    def strategy(self, failed: list[int]) -> RescueStrategy:
        """What is done about these failed steps by itself, where nobody is to be asked."""
        if self.final or self._asks or not self._conduct.auto_rescue:
            return RescueStrategy.PAUSE
        said = combined_strategy(self._book.policy_of(one).rescue_strategy for one in failed)
        return self._rescue.verdict(failed, said)

    def ask(self, failed: list[int]) -> RunErrand | None:
        """The question to the plan's actions about these failed steps, if its classes want to be asked."""
        if self.final or not self._asks or not self._conduct.auto_rescue or not failed:
            return None
        self._question += 1
        kind = self._book.steps.kind(failed[0])
        data = encode(failed, "failed steps")
        return RunErrand(self._book.plan_id, self._number(), RESCUE, kind.action_class, data, kind.queue)

    def _number(self) -> int:
        return self._epoch * _QUESTIONS + self._question

    def told(self, errand_id: int, failed: list[int], said: RescueStrategy | None) -> RescueStrategy | None:
        """What is done about these failed steps, now that the actions were asked; None for an old answer."""
        return self._rescue.verdict(failed, said) if errand_id == self._number() else None

    def skip(self, failed: list[int]) -> list[Instruction]:
        """These steps are skipped, and all that goes with them."""
        return self._book.skip(skipped_with(self._skeleton, failed))
