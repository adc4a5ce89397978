"""Where plans are kept: the one door to all that is stored about them.

planner ─▶ save_plan     reader ─▶ load_skeleton, load_payloads     core ─▶ write_turn     people ─▶ find, load, delete
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from dynflow_mp.clock import now_us
from dynflow_mp.errors import AlreadyRunning, PersistenceError, PlanIdTaken, PlanNotFound, RequestError
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.held_by_plans import OnConflict
from dynflow_mp.model.plans import Payload, PlannedPlan, PlanSkeleton
from dynflow_mp.model.states import PlanState
from dynflow_mp.model.sub_plans import Briefing
from dynflow_mp.model.writes import Write
from dynflow_mp.persistence import (
    audits,
    deletion,
    held_by_plans,
    new_plans,
    plan_rows,
    planned,
    queries,
    skeleton,
    sub_plans,
    turn,
)
from dynflow_mp.persistence.culprits import Step
from dynflow_mp.persistence.database import Fence
from dynflow_mp.persistence.inputs import put_input
from dynflow_mp.persistence.plan_reader import PlanReader
from dynflow_mp.persistence.rows import (
    ActionRow,
    PlanRow,
    PlanStatus,
    StepCount,
    StepRow,
)
from dynflow_mp.persistence.tables import execution_plans, steps
from dynflow_mp.persistence.turn import GuardFailed

__all__ = ["ActionRow", "GuardFailed", "PlanRow", "PlanStatus", "StepCount", "StepRow", "Store"]


class Store(PlanReader):
    """All that is stored about plans. Any thread may call it; every call is one short transaction."""

    # -- planning and asking ---------------------------------------------------------------------------

    def save_plan(
        self,
        plan: PlannedPlan,
        *,
        requested_at: int | None = None,
        fence: Fence | None = None,
        on_conflict: OnConflict = OnConflict.RAISE,
    ) -> PlannedPlan:
        """Store a new plan whole, in one transaction; as it was stored: one whose singleton class has an active plan
        already is stored as a plan that could not be planned.

        Raises :class:`PlanIdTaken`, :class:`UniqueKeyTaken`, or ``KeyHeld`` where the plan that has the key is wanted instead.
        """
        now = now_us()

        def store_it(connection: Connection, in_doubt: bool) -> None:
            if not (in_doubt and planned.is_stored(connection, plan.id, now)):
                new_plans.store_new(connection, plan, requested_at, now, on_conflict)

        while True:
            try:
                self.database.change(store_it, fence)
            except new_plans.KeyRaced:
                continue  # who was quicker is found now
            except PersistenceError as error:
                if error.passes or not self.plan_statuses([plan.id]):
                    raise
                raise PlanIdTaken(plan.id) from error
            except new_plans.LockRefused as refusal:
                return self.save_plan(new_plans.refused(plan, refusal.error, now), fence=fence)
            return plan

    def give_up_orphans(self, fence: Fence | None = None) -> int:
        """Give up locks of singletons whose plan is gone, stopped, or paused and not asked for; how many."""
        found = self.database.ask(held_by_plans.orphaned)
        if not found:
            return 0
        return self.database.change(
            lambda connection, _in_doubt: held_by_plans.give_up_orphans(connection, found), fence
        )

    def request(
        self, plan_id: str, now: int, fence: Fence | None = None, audit: Audit | None = None
    ) -> PlanStatus:
        """Ask that a planned or paused plan be executed; where it stands now. Raises PlanNotFound.

        Who resumes a plan whose deadline has passed has decided that late is better than never: it has none any more.
        ``audit`` is written down if that is something new.
        """

        def ask_for_it(connection: Connection, _in_doubt: bool) -> dict[str, PlanStatus]:
            plan_rows.request(connection, plan_id, now)
            found = queries.read_statuses(connection, [plan_id])
            if audit is not None and plan_id in found and found[plan_id].state in _DEEDS:
                audits.add(connection, audit.called(_DEEDS[found[plan_id].state]))
            return found

        found = self.database.change(ask_for_it, fence)
        if plan_id not in found:
            raise _not_found(plan_id)
        return found[plan_id]

    # -- executing -------------------------------------------------------------------------------------

    def load_skeleton(self, plan_id: str) -> PlanSkeleton:
        """A plan's flows and states. Raises PlanNotFound, or InvalidPlan saying what is damaged."""
        with self.database.read() as connection:
            return skeleton.read_skeleton(connection, plan_id)

    def load_skeletons(self, plan_ids: Sequence[str]) -> dict[str, PlanSkeleton | RequestError]:
        """Several at once; in place of one that is not there or cannot be read the error that says so."""
        return self.database.ask(
            lambda connection: {plan_id: _skeleton_or_error(connection, plan_id) for plan_id in plan_ids}
        )

    def take_up(self, plan_id: str, payloads_up_to: int) -> tuple[PlanSkeleton, list[Payload]]:
        """A plan's skeleton and, of a plan of up to so many steps that nobody runs, all its payloads."""
        with self.database.read() as connection:
            found = skeleton.read_skeleton(connection, plan_id)
            small = found.owner_id is None and len(found.steps) <= payloads_up_to
            return found, skeleton.read_all_payloads(connection, plan_id) if small else []

    def take_up_fresh(
        self, plan_ids: Sequence[str], up_to_steps: int
    ) -> tuple[list[tuple[PlanSkeleton, list[Payload]]], list[str]]:
        """Those of these plans that are to be run and were never begun, whole; and those larger than that."""
        with self.database.read() as connection:
            return sub_plans.read_fresh(connection, plan_ids, up_to_steps)

    def briefing(self, plan_id: str, action_id: int) -> Briefing:
        """How the sub-plans of an action stand."""
        with self.database.read() as connection:
            return sub_plans.read_briefing(connection, plan_id, action_id)

    def end_never_begun(
        self,
        plan_id: str,
        action_id: int | None,
        held_back_only: bool,
        error: bytes,
        fence: Fence | None = None,
    ) -> int:
        """Stop sub-plans of an action, or of all of a plan's, that nobody has begun, for ``error``; how many."""
        now = now_us()
        return self.database.change(
            lambda connection, _in_doubt: sub_plans.end_never_begun(
                connection, plan_id, action_id, held_back_only, error, now
            ),
            fence,
        )

    def failed_below(self, plan_id: str) -> list[str]:
        """All plans below this one, however deep, that are paused with an error; the deepest first."""
        return self.database.ask(lambda connection: sub_plans.failed_below(connection, plan_id))

    def running_sub_plans(self, plan_id: str, action_id: int) -> list[str]:
        """The sub-plans of an action that somebody runs."""
        return self.database.ask(lambda connection: sub_plans.running_of(connection, plan_id, action_id))

    def load_payloads(self, plan_id: str, action_ids: Sequence[int]) -> list[Payload]:
        """Inputs, references and outputs of these actions, any number, by action id."""
        with self.database.read() as connection:
            return skeleton.read_payloads(connection, plan_id, action_ids)

    def load_outputs(self, plan_id: str, action_ids: Sequence[int]) -> dict[int, bytes]:
        """Outputs of those of these actions that have one."""
        with self.database.read() as connection:
            return skeleton.read_outputs(connection, plan_id, action_ids)

    def write_turn(self, connection: Connection, writes: Sequence[Write]) -> frozenset[str]:
        """Carry out a turn's writes in the caller's transaction; the plans that are lost.

        Raises :class:`GuardFailed`: the transaction must be rolled back, and the turn may be repeated
        without the plans it names.
        """
        return turn.write_turn(connection, writes, self._steps_before)

    def who_runs_what(self, own_id: str, after: str, limit: int) -> tuple[set[str], list[str]]:
        """Whom running plans name as their owners, registered or not; and the ids of those that name ``own_id``, in
        order, behind the id ``after``.
        """

        def read(connection: Connection) -> tuple[set[str], list[str]]:
            owners = plan_rows.running_owners(connection)
            return owners, plan_rows.running_of(connection, own_id, after, limit)

        return self.database.ask(read)

    def let_go_of_unowned(self, fence: Fence | None = None) -> int:
        """Plans that are running and that nobody owns, as only a hand can leave them, are paused; how many."""
        if not self.database.ask(plan_rows.any_running_unowned):
            return 0
        return self.database.change(
            lambda connection, _in_doubt: plan_rows.let_go_of_unowned(connection), fence
        )

    def disown(self, connection: Connection, plan_id: str, owner_id: str) -> None:
        """Take a plan from an owner that is no more, in the caller's transaction, without looking into it.

        A running one is left paused, with an error, for people to look at.
        """
        plan_rows.disown(connection, plan_id, owner_id)

    def stop_unreadable(
        self, plan_id: str, now: int, fence: Fence | None = None, audit: Audit | None = None
    ) -> bool:
        """Stop a plan that nobody owns without looking into it; False if somebody does. Its events go with it."""

        def stop_it(connection: Connection, _in_doubt: bool) -> bool:
            stopped = plan_rows.stop_unreadable(connection, plan_id, now)
            if stopped:
                audits.add(connection, audit)
            return stopped

        return self.database.change(stop_it, fence)

    def forget_delay(self, connection: Connection, plan_id: str) -> None:
        """In the caller's transaction: a scheduled plan is not to start any more."""
        plan_rows.forget_delay(connection, plan_id)

    def plan_statuses(self, plan_ids: Sequence[str]) -> dict[str, PlanStatus]:
        """Where these plans stand; those that are not stored are left out."""
        with self.database.read() as connection:
            return queries.read_statuses(connection, plan_ids)

    def event_was_taken(self, event_id: str) -> bool:
        """Whether a step has taken the event that was sent under this id; known for as long as its plan is stored."""
        return self.database.ask(lambda connection: queries.event_was_taken(connection, event_id))

    def requested_plans(self, limit: int) -> list[PlanStatus]:
        """Requested plans, planned or paused, that nobody owns; longest waiting first."""
        with self.database.read() as connection:
            return queries.read_requested(connection, limit)

    # -- what people did -------------------------------------------------------------------------------

    def add_audit(self, audit: Audit, fence: Fence | None = None) -> None:
        """Write down what is about to be asked of another world."""
        self.database.change(lambda connection, _in_doubt: audits.add(connection, audit), fence)

    def add_audit_within(self, connection: Connection, audit: Audit | None) -> None:
        """In the caller's transaction: write down what is done in it."""
        audits.add(connection, audit)

    def load_audits(self, plan_id: str) -> list[Audit]:
        """What people did to a plan, in order."""
        return self.database.ask(lambda connection: audits.of_plan(connection, plan_id))

    def latest_audits(
        self, plan_id: str | None, by: str | None, since: int | None, before: str | None, most: int
    ) -> list[Audit]:
        """What people did, the latest first: to a plan, by somebody, from a time on, before another of them."""
        return self.database.ask(
            lambda connection: audits.latest(connection, plan_id, by, since, before, most)
        )

    # -- changing by hand ------------------------------------------------------------------------------

    def delete_execution_plans(
        self,
        filters: Mapping[str, Any] | None,
        batch_size: int = 1000,
        backup_dir: Path | None = None,
        fence: Fence | None = None,
        audit_of: Callable[[int], Audit | None] = lambda gone: None,
    ) -> int:
        """Delete the plans these filters let through, whatever their state; how many there were.

        Whoever runs one of them finds it lost with its next write. ``audit_of`` says what is to be written down about
        so many plans that go in one transaction.
        """
        deleted = 0

        def delete_some(connection: Connection, _in_doubt: bool) -> tuple[int, bool]:
            plan_ids = queries.find_plan_ids(connection, filters, batch_size)
            gone = deletion.delete_plans(connection, plan_ids, backup_dir)
            if gone:
                audits.add(connection, audit_of(gone))
            return gone, len(plan_ids) == batch_size

        more = True
        while more:
            gone, more = self.database.change(delete_some, fence)
            deleted += gone
        return deleted

    def find_old_plans(self, ended_before: int, limit: int) -> list[str]:
        """Ids of stopped plans that ended before this time, oldest first.

        Without those that others may still ask about: sub-plans of one that goes on, what a scheduled one comes after.
        """
        return self.database.ask(
            lambda connection: queries.find_old_plan_ids(connection, ended_before, limit)
        )

    def replace_input(self, plan_id: str, action_id: int, data: bytes, fence: Fence | None = None) -> None:
        """Give an action another stored input, complete in itself; only while nobody runs the plan."""
        owner = select(execution_plans.c.owner_id).where(execution_plans.c.id == plan_id).with_for_update()

        def replace_it(connection: Connection, _in_doubt: bool) -> None:
            row = connection.execute(owner).one_or_none()
            if row is None:
                raise _not_found(plan_id)
            if row[0] is not None:
                raise AlreadyRunning(f"plan {plan_id} is being executed: its data cannot be changed", plan_id)
            put_input(connection, plan_id, action_id, data)

        self.database.change(replace_it, fence)

    def _steps_before(self, wanted: Collection[Step]) -> dict[Step, tuple[str, int]]:
        """State and attempts as others see them: a running transaction's changes are not among them."""
        by_plan: dict[str, list[int]] = {}
        for plan_id, step_id in wanted:
            by_plan.setdefault(plan_id, []).append(step_id)
        found: dict[Step, tuple[str, int]] = {}
        columns = select(steps.c.id, steps.c.state, steps.c.attempts)
        with self.database.read() as connection:
            for plan_id, step_ids in by_plan.items():
                for start in range(0, len(step_ids), skeleton.CHUNK):
                    query = columns.where(
                        steps.c.execution_plan_id == plan_id,
                        steps.c.id.in_(step_ids[start : start + skeleton.CHUNK]),
                    )
                    for step_id, state, attempts in connection.execute(query):
                        found[plan_id, step_id] = (state, attempts)
        return found


_DEEDS = {PlanState.PLANNED: "execute", PlanState.PAUSED: "resume"}
"""What asking for a plan is called that can be asked for."""


def _not_found(plan_id: str) -> PlanNotFound:
    return PlanNotFound(f"no plan {plan_id} is stored", plan_id)


def _skeleton_or_error(connection: Connection, plan_id: str) -> PlanSkeleton | RequestError:
    try:
        return skeleton.read_skeleton(connection, plan_id)
    except RequestError as error:
        return error
