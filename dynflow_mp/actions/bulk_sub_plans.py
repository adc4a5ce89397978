"""Very many sub-plans: made in batches, so that none of them has to wait for all to be made.

begin ─▶ a batch ─▶ suspend ─▶ woken at once ─▶ the next batch … all made ─▶ on_planning_finished
                               └─ with a limit: as soon as there is room, as many as there is room for
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynflow_mp.actions.sub_plan_counts import SubPlanCounts
from dynflow_mp.actions.sub_plans import _OWN, WithSubPlans, _exhaust
from dynflow_mp.errors import StepError, SubPlanFailed
from dynflow_mp.model.signals import Signal
from dynflow_mp.model.sub_plans import Ending


class WithBulkSubPlans(WithSubPlans, abstract=True):
    """Define ``total_count``, ``batch`` and ``create_sub_plans``, which triggers one for each of ``current_batch``.

    ``output`` has ``planned_count`` and ``cancelled_count``, too. If all sub-plans of the batches so far
    could not be planned, the step fails at once, and being resumed starts over.
    """

    batch_size: int = 100
    """Most sub-plans made by one call of ``create_sub_plans``."""

    _deleted: int = 0
    """How many were made and are not stored any more: somebody deleted them. They are not made again."""

    # -- to be defined -----------------------------------------------------------------------------

    def total_count(self) -> int:
        """How many sub-plans there will be."""
        raise NotImplementedError(f"{type(self).__name__} has to define total_count()")

    def batch(self, start: int, size: int) -> Sequence[Any]:
        """What to make sub-plans for, from the ``start``-th on, ``size`` of it at most."""
        raise NotImplementedError(f"{type(self).__name__} has to define batch(start, size)")

    def on_planning_finished(self) -> None:
        """Called when the last sub-plan has been made, or when it is clear that no more will be."""

    # -- for create_sub_plans ----------------------------------------------------------------------

    @property
    def current_batch(self) -> Sequence[Any]:
        """What this call of ``create_sub_plans`` is to make sub-plans for; empty once all are made."""
        size = min(self.batch_size, self._left_to_make)
        room = self._room_for_more()
        if room is not None:
            size = min(size, room)
        return self.batch(self._made, size) if size > 0 else []

    @property
    def can_spawn_next_batch(self) -> bool:
        """Whether there are sub-plans still to be made."""
        return self._left_to_make > 0

    # -- the step ----------------------------------------------------------------------------------

    def run(self, event: Any = None) -> None:
        made_before = self.output.get(_OWN, {}).pop("made_before", None)
        if event is None and made_before is not None:
            # The call that noted it has failed since, and what it made was not stored with it.
            self.output["planned_count"] = made_before
        super().run(event)

    def _end_sub_plans(self, how: Ending) -> None:
        super()._end_sub_plans(how)
        self._make_no_more()

    def _make_no_more(self) -> None:
        left = self._left_to_make
        if left:
            self._note_own("never_made", left)
            self.on_planning_finished()

    def _begin_or_resume(self) -> None:
        nothing_there = not self._standing.total or self._standing.none_could_be_planned
        if nothing_there and not self._is_being_ended:
            self.output["planned_count"] = self._deleted = 0  # all of them are made, or made again
        super()._begin_or_resume()

    def _begin_sub_plans(self) -> None:
        self.output["total_count"] = self.total_count()
        if self._left_to_make:
            self._make_a_batch()
        else:
            self.on_planning_finished()

    def _go_on_with_sub_plans(self) -> None:
        if self._all_in_vain:
            return
        super()._go_on_with_sub_plans()
        if not self._left_to_make or self._is_being_ended:
            return
        if self._pace_of_starts().over(self._since_begun_s()):
            self._give_up_waiting()
        else:
            self._make_a_batch()

    def _give_up_waiting(self) -> None:
        super()._give_up_waiting()
        self._make_no_more()

    def _make_a_batch(self) -> None:
        if self._room_for_more() == 0:
            return
        self._note_own("made_before", self._made)
        _exhaust(self.create_sub_plans())
        if not self._made_now:
            raise StepError("create_sub_plans() triggered nothing, although sub-plans are still to be made")
        if not self._left_to_make:
            self.on_planning_finished()

    def _more_to_do(self) -> Signal | None:
        alone = super()._more_to_do()
        if alone is not None or not self._left_to_make or self._is_being_ended:
            return alone
        if self._pace_of_starts().free:
            # What is stored with this call is what it says: nothing has to be counted before the next one.
            return Signal.NEXT_BATCH
        return Signal.SUB_PLANS if self._room_for_more() else None

    def _count_sub_plans(self) -> None:
        super()._count_sub_plans()
        self._deleted = max(0, self.output.get("planned_count", 0) - self._standing.total)

    @property
    def _made(self) -> int:
        """How many sub-plans have been made so far, whatever has become of them."""
        return self._standing.total + self._deleted

    @property
    def _all_in_vain(self) -> bool:
        """Whether none of those made so far could be planned."""
        return self._standing.none_could_be_planned and not self._deleted

    @property
    def _left_to_make(self) -> int:
        expected: int = self.output.get("total_count", 0)
        return max(0, expected - self._made - self._never_made)

    @property
    def _never_made(self) -> int:
        never: int = self._own_note("never_made", 0)
        return never

    def _last_shown(self) -> SubPlanCounts:
        return super()._last_shown()._replace(total=self._shown.get("planned_count", 0))

    def _is_over(self) -> bool:
        if not self._made_now and self._all_in_vain:
            raise SubPlanFailed(self._standing.failed)
        return super()._is_over()

    def _show_counts(self) -> None:
        expected = self.output.get("total_count", 0)
        super()._show_counts()
        self.output.update(total_count=expected, planned_count=self._made, cancelled_count=self._never_made)


class WithPollingSubPlans(WithSubPlans, abstract=True):
    """Looks at its sub-plans every 10 s; Dynflow's name for what all of these do here, besides hints."""

    polling_interval = 10.0
