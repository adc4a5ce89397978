"""The finalize phase of one plan: one job with a part for each finalize step, in order.

ready ─▶ sent (its first part is marked) ─┬─ finished: each part's outcome ─▶ over
   ▲                                      ├─ lost: the part that ran is an error ─▶ over
   └────────── returned, never begun ─────┘
"""

from __future__ import annotations

from collections.abc import Iterable

from dynflow_mp.director.instructions import Instruction
from dynflow_mp.director.step_book import StepBook
from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.model.work import ErrorRecord, StepOutcome

_MICRO = 1_000_000


class FinalizePhase:
    """Owned by its running plan."""

    __slots__ = ("_book", "going_on")

    def __init__(self, book: StepBook) -> None:
        self._book = book
        self.going_on = False
        """Whether its job is waiting or with a worker."""

    def parts(self) -> list[int]:
        """All finalize steps but the skipped: the phase restarts whole (dynflow-core.md §10)."""
        steps = self._book.steps
        return [
            step_id for step_id in self._book.finalize_steps if steps.state(step_id) is not StepState.SKIPPED
        ]

    def sent(self, now: int) -> list[Instruction]:
        """The job is about to leave: what earlier attempts left is reset, the first part marked."""
        book, parts = self._book, self.parts()
        resets: list[Instruction] = [
            book.reset(step_id)
            for step_id in parts
            if book.steps.state(step_id) in (StepState.SUCCESS, StepState.ERROR)
        ]
        return [*resets, book.begin_part(parts[0], now)]

    @property
    def with_a_worker(self) -> bool:
        """Whether its job has been sent and not answered for."""
        return self.going_on and any(map(self._book.is_with_a_worker, self.parts()[:1]))

    def refused(self, error: ErrorRecord, now: int) -> list[Instruction]:
        """It may not begin any more: its first part is charged with why."""
        return [*self.sent(now), *self.lost(0, error, now)]

    def returned(self) -> list[Instruction]:
        """The job was never begun."""
        return self._book.unmark(self.parts()[:1])

    def finished(self, outcomes: Iterable[StepOutcome], worker_pid: int | None = None) -> list[Instruction]:
        """What came of the parts that were executed."""
        self.going_on = False
        instructions: list[Instruction] = []
        for outcome in outcomes:
            begun_at = outcome.ended_at - int(outcome.execution_time * _MICRO)
            instructions += self._part_begun(outcome.step_id, begun_at)
            instructions.append(self._book.save(outcome, worker_pid, Phase.FINALIZE))
            if outcome.chunks:
                instructions.append(self._book.chunks(outcome.step_id, outcome.chunks, Phase.FINALIZE))
        return instructions

    def lost(
        self, part: int, error: ErrorRecord, now: int, worker_pid: int | None = None
    ) -> list[Instruction]:
        """The worker died: the part it was in failed, the others run again; those before it did begin."""
        self.going_on = False
        parts = self.parts()
        place = min(part, len(parts) - 1)
        culprit = parts[place]
        instructions: list[Instruction] = [self._book.in_vain(step_id) for step_id in parts[:place]]
        instructions += self._part_begun(culprit, now)
        return [*instructions, self._book.fail(culprit, error, now, worker_pid)]

    def _part_begun(self, step_id: int, begun_at: int) -> list[Instruction]:
        """Only the first part is marked when the job leaves; the later ones are marked with their outcome."""
        if self._book.steps.state(step_id) is StepState.RUNNING:
            return []
        return [self._book.begin_part(step_id, begun_at)]

    @property
    def failed(self) -> bool:
        """Whether a part did not end well."""
        return not all(map(self._book.passed, self._book.finalize_steps))
