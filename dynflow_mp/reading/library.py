"""``world.persistence``: stored plans, found, read, and changed by hand."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dynflow_mp.actions.named_rules import NO_RULES, NamedRules
from dynflow_mp.clock import now_us
from dynflow_mp.coordinator.records import Lock, WorldRecord
from dynflow_mp.errors import QueryError
from dynflow_mp.model.codec import MAX_PAYLOAD, encode
from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.persistence.database import Fence
from dynflow_mp.persistence.failed_steps import FailedSteps
from dynflow_mp.persistence.figures import Figures, Pulse
from dynflow_mp.persistence.rows import PlanStatus, StepCount
from dynflow_mp.persistence.schedule import Schedule
from dynflow_mp.persistence.store import Store
from dynflow_mp.persistence.waiting_steps import read_waiting
from dynflow_mp.planning.ids import plan_id_of
from dynflow_mp.reading import damaged_plan
from dynflow_mp.reading.audits import PastDeed, checked_most, noted, past_deeds
from dynflow_mp.reading.chunk import Chunk, chunk_of
from dynflow_mp.reading.delayed_plan import DelayedPlan
from dynflow_mp.reading.execution_plan import ExecutionPlan
from dynflow_mp.reading.failure_groups import FailureGroups, grouped, normalised
from dynflow_mp.reading.plan_page import PlanPage, page_of
from dynflow_mp.reading.plan_query import PlanQuery
from dynflow_mp.reading.step import Step
from dynflow_mp.reading.wait import Wait
from dynflow_mp.reading.wait_facts import wait_facts
from dynflow_mp.reading.waiting import waits


class Library:
    """The plans of one database, for people; what it writes is fenced like every write of its world."""

    def __init__(
        self,
        store: Store,
        fence: Fence | None = None,
        max_payload: int = MAX_PAYLOAD,
        middleware: NamedRules = NO_RULES,
        world_id: str = "",
    ) -> None:
        self._store, self._fence, self._max_payload = store, fence, max_payload
        self._world_id = world_id
        self._schedule = Schedule(store.database)
        self._middleware = middleware

    def load_execution_plan(self, plan_id: str) -> ExecutionPlan:
        """One plan as it is stored now; one that cannot be read is there and not ``valid``. Raises :class:`PlanNotFound`."""
        return damaged_plan.load(plan_id_of(plan_id), self._store, self._middleware)

    def load_delayed_plan(self, plan_id: str) -> DelayedPlan:
        """When a plan may start, and with what. Raises :class:`NotScheduled` for one that does not wait for its time."""
        plan_id = plan_id_of(plan_id)
        return DelayedPlan(plan_id, self._schedule.record(plan_id), self._schedule.prerequisites(plan_id))

    def find_execution_plans(
        self,
        filters: Mapping[str, Any] | None = None,
        order_by: str | None = None,
        desc: bool = False,
        page: int | None = None,
        per_page: int | None = None,
    ) -> list[ExecutionPlan]:
        """Plans by column: a value or a list of them each; ``page`` counts from 0 and needs ``per_page``;
        ``delayed`` true or false: whether they wait for their time. ``label_contains``, ``started_since``, ``started_until``,
        ``action_class`` and ``error_contains`` are as in :class:`~dynflow_mp.reading.plan_query.PlanQuery`.

        Raises :class:`QueryError` for what cannot be asked. Steps and actions are read when looked at.
        """
        rows = self._store.find_execution_plans(filters, order_by, desc, page, per_page)
        return [ExecutionPlan(row, self._store, self._middleware) for row in rows]

    def page_of_plans(self, query: PlanQuery) -> PlanPage:
        """One page of a list of plans with the list's length: quick however many are stored, and without their steps."""
        rows = self._store.page_of_plans(
            query.filters(), query.order_by, query.desc, query.page, query.per_page
        )
        return page_of(rows, query, _now())

    def why_waiting(
        self,
        plan_id: str,
        worlds: Iterable[WorldRecord],
        locks: Iterable[Lock],
        gone: Container[str] = (),
    ) -> list[Wait]:
        """What a plan waits for, first, and each of its steps that waits, by id; nothing if it goes on, or is over.

        ``worlds`` and ``locks`` as the coordinator finds them; of the locks those are needed that concern the plan, who looks
        after scheduled plans, and takeovers. ``gone``: worlds whose processes are known to have ended, whatever their records say. Raises :class:`PlanNotFound`, :class:`InvalidPlan`.
        """
        plan = self.load_execution_plan(plan_id)
        rows = self._store.database.ask(lambda connection: read_waiting(connection, plan.id))
        return waits(plan, wait_facts(rows, worlds, locks, _now(), gone))

    def failure_groups(self, query: PlanQuery | None = None, most: int = 200) -> FailureGroups:
        """Failed steps by what their errors have in common, of all plans or of those in a list.

        Looked at are the newest plans in error, some thousands; the result says whether there are more (``cut``).
        """
        return grouped(self._failed_steps(query), most)

    def plans_of_failure(self, key: str, query: PlanQuery | None = None) -> list[str]:
        """Ids of the plans of one such group, newest first; none where it is gone."""
        steps = self._failed_steps(query).steps
        return list(dict.fromkeys(step.plan_id for step in steps if normalised(step).key == key))

    def _failed_steps(self, query: PlanQuery | None) -> FailedSteps:
        return self._store.failed_steps(None if query is None else query.filters())

    def action_classes(self) -> list[str]:
        """The names of the classes that actions are stored under, in order: what plans can be found by."""
        return self._store.action_classes()

    def count_execution_plans(self, filters: Mapping[str, Any] | None = None) -> int:
        """How many plans these filters let through."""
        return self._store.count_execution_plans(filters)

    def find_statuses(self, filters: Mapping[str, Any] | None = None) -> dict[str, PlanStatus]:
        """State and result of the plans these filters let through, by id."""
        return self._store.find_statuses(filters)

    def pulses(self, plan_ids: Sequence[str]) -> dict[str, Pulse]:
        """Where these plans stand, to be compared with where they stood before; those that are not stored are left out."""
        return self._store.pulses([plan_id_of(plan_id) for plan_id in plan_ids])

    def page_of_steps(
        self,
        plan_id: str,
        phase: Phase | None = None,
        state: StepState | None = None,
        page: int = 0,
        per_page: int = 200,
    ) -> tuple[list[Step], int]:
        """A page of a plan's steps by their ids, of one phase or state if given; and how many there are of them.

        Nothing else of the plan is read. ``page`` counts from 0.
        """
        rows, total = self._store.step_page(plan_id_of(plan_id), phase, state, page, per_page)
        return [Step(row, self._store) for row in rows], total

    def page_of_chunks(
        self, plan_id: str, action_id: int, start: int | None = None, most: int = 200
    ) -> tuple[list[Chunk], int]:
        """``most`` pieces of what an action wrote beside its output, in order, and how many there are.

        From the one at ``start`` on, which counts from 0; None: the last ones. Nothing else of the plan is read.
        """
        rows, total = self._store.chunk_page(plan_id_of(plan_id), action_id, start, most)
        return [chunk_of(row) for row in rows], total

    def load_step(self, plan_id: str, step_id: int) -> Step | None:
        """One step of a plan, without the others; None if there is none."""
        rows = self._store.load_steps(plan_id_of(plan_id), [step_id])
        return Step(rows[0], self._store) if rows else None

    def figures(self, most_classes: int = 100) -> Figures:
        """How many plans are stored, and of which kinds; the classes beyond ``most_classes`` are ``other``."""
        return self._store.figures(most_classes)

    def step_counts(self, plan_id: str) -> list[StepCount]:
        """How many steps are in which phase and state: a plan's progress without reading the plan."""
        return self._store.step_counts(plan_id_of(plan_id))

    def delete_execution_plans(
        self,
        filters: Mapping[str, Any] | None,
        backup_dir: Path | str | None = None,
        *,
        batch_size: int = 1000,
        by: str | None = None,
    ) -> int:
        """Delete plans, whatever their state, after writing them to ``backup_dir`` as JSON lines if given; how many.

        What people did to a plan is deleted with it; that it was deleted ``by`` somebody is not.

        What is written is on the disk before anything is deleted: ``<backup_dir>/<YYYYMMDD>/execution_plans.jsonl``,
        ``steps.jsonl``, ``actions.jsonl`` and more, see :mod:`dynflow_mp.persistence.backup`.
        """
        directory = None if backup_dir is None else Path(backup_dir)
        noted(by, None, "", self._world_id)  # what is wrong with the name is said before anything is deleted
        return self._store.delete_execution_plans(
            filters,
            batch_size,
            directory,
            self._fence,
            lambda gone: noted(by, None, f"delete {gone:,} plan{'' if gone == 1 else 's'}", self._world_id),
        )

    def audits(
        self,
        plan_id: str | None = None,
        *,
        by: str | None = None,
        since: datetime | None = None,
        before: str | None = None,
        most: int = 200,
    ) -> list[PastDeed]:
        """What people did by hand and said who they are, the latest first, ``most`` at most.

        Only to a plan, ``by`` somebody, ``since`` a time, or earlier than the deed with the id ``before``.
        Raises :class:`QueryError`.
        """
        if since is not None and (not isinstance(since, datetime) or since.tzinfo is None):
            raise QueryError(f"since={since!r}: must be a datetime with a time zone")
        for name, text in (("by", by), ("before", before)):
            if text is not None and "\0" in text:
                raise QueryError(f"{name} has characters that no text of ours has", name)
        found = self._store.latest_audits(
            None if plan_id is None else plan_id_of(plan_id),
            by,
            None if since is None else int(since.timestamp() * 1_000_000),
            before,
            checked_most(most),
        )
        return past_deeds(found)

    def replace_input(self, plan_id: str, action_id: int, values: dict[str, Any]) -> None:
        """Give an action other input, without references; for a plan nobody runs, before it is resumed."""
        data = encode(values, "input", self._max_payload)
        self._store.replace_input(plan_id_of(plan_id), action_id, data, self._fence)


def _now() -> datetime:
    return datetime.fromtimestamp(now_us() / 1_000_000, UTC)
