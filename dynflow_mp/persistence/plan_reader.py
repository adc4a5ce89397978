"""What people read about plans: found, listed, counted, looked into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from dynflow_mp.model.states import Phase, StepState
from dynflow_mp.persistence import plan_pages, queries
from dynflow_mp.persistence.action_classes import stored_classes
from dynflow_mp.persistence.chunk_pages import read_chunk_page
from dynflow_mp.persistence.database import Database
from dynflow_mp.persistence.failed_steps import FailedSteps, read_failed_steps
from dynflow_mp.persistence.figures import Figures, Pulse, read_figures, read_pulses
from dynflow_mp.persistence.plan_pages import PageRows
from dynflow_mp.persistence.rows import (
    ActionRow,
    AttemptRow,
    ChunkRow,
    PlanRow,
    PlanStatus,
    StepCount,
    StepRow,
)
from dynflow_mp.persistence.step_pages import read_step_page


class PlanReader:
    """The part of the store that only reads; :class:`~dynflow_mp.persistence.store.Store` also changes plans."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def load_plan(self, plan_id: str) -> PlanRow:
        """One plan's row. Raises PlanNotFound, or InvalidPlan when steps of it are missing."""
        return self.database.ask(lambda connection: queries.read_plan(connection, plan_id))

    def load_whole_plan(
        self, plan_id: str, up_to_steps: int
    ) -> tuple[PlanRow, list[StepRow], list[ActionRow]]:
        """One plan's row and, of a plan of up to so many steps, all its steps and actions, read together."""

        def read(connection: Connection) -> tuple[PlanRow, list[StepRow], list[ActionRow]]:
            plan = queries.read_plan(connection, plan_id)
            if plan.step_count > up_to_steps:
                return plan, [], []
            own_steps = queries.read_steps(connection, plan_id, None)
            if len(own_steps) != plan.step_count:
                return read(connection)  # it was planned in between; a step that is missing is found there
            return plan, own_steps, queries.read_actions(connection, plan_id, None)

        return self.database.ask(read)

    def load_steps(self, plan_id: str, step_ids: Sequence[int] | None = None) -> list[StepRow]:
        """A plan's steps, all or these, by id."""
        return self.database.ask(lambda connection: queries.read_steps(connection, plan_id, step_ids))

    def load_actions(self, plan_id: str, action_ids: Sequence[int] | None = None) -> list[ActionRow]:
        """A plan's actions, all or these, by id."""
        return self.database.ask(lambda connection: queries.read_actions(connection, plan_id, action_ids))

    def load_output_chunks(self, plan_id: str, action_id: int, kind: str | None = None) -> list[ChunkRow]:
        """What an action wrote beside its output so far, in order."""
        return self.database.ask(lambda connection: queries.read_chunks(connection, plan_id, action_id, kind))

    def chunk_page(
        self, plan_id: str, action_id: int, start: int | None, most: int
    ) -> tuple[list[ChunkRow], int]:
        """Some of what an action wrote beside its output, and how much there is: see ``read_chunk_page``."""
        return self.database.ask(
            lambda connection: read_chunk_page(connection, plan_id, action_id, start, most)
        )

    def step_counts(self, plan_id: str) -> list[StepCount]:
        """How many of a plan's steps are in which phase and state: its progress, cheaply."""
        return self.database.ask(lambda connection: queries.count_steps(connection, plan_id))

    def find_execution_plans(
        self,
        filters: Mapping[str, Any] | None = None,
        order_by: str | None = None,
        desc: bool = False,
        page: int | None = None,
        per_page: int | None = None,
    ) -> list[PlanRow]:
        """Plans by column: a value or a list of them each; ordered by ``started_at`` unless told otherwise.

        ``page`` counts from 0 and needs ``per_page``. Raises :class:`QueryError` for what cannot be
        asked.
        """
        return self.database.ask(
            lambda connection: queries.find_plans(connection, filters, order_by, desc, page, per_page)
        )

    def page_of_plans(
        self, filters: Mapping[str, Any] | None, order_by: str, desc: bool, page: int, per_page: int
    ) -> PageRows:
        """One page of the plans these filters let through, and how many they are."""
        return self.database.ask(
            lambda connection: plan_pages.read_page(connection, filters, order_by, desc, page, per_page)
        )

    def failed_steps(self, filters: Mapping[str, Any] | None) -> FailedSteps:
        """Steps in error of the plans these filters let through, newest plans first; a bounded number."""
        return self.database.ask(lambda connection: read_failed_steps(connection, filters))

    def action_classes(self) -> list[str]:
        """The names of the classes that actions are stored under, in order."""
        return self.database.ask(stored_classes)

    def count_execution_plans(self, filters: Mapping[str, Any] | None = None) -> int:
        """How many plans these filters let through."""
        return self.database.ask(lambda connection: queries.count_plans(connection, filters))

    def pulses(self, plan_ids: Sequence[str]) -> dict[str, Pulse]:
        """Where these plans stand, to be compared with where they stood before; those that are not stored are left out."""
        return self.database.ask(lambda connection: read_pulses(connection, plan_ids))

    def step_page(
        self, plan_id: str, phase: Phase | None, state: StepState | None, page: int, per_page: int
    ) -> tuple[list[StepRow], int]:
        """A page of a plan's steps by their ids, of one phase or state if given; and how many there are of them."""
        return self.database.ask(
            lambda connection: read_step_page(connection, plan_id, phase, state, page, per_page)
        )

    def figures(self, most_classes: int) -> Figures:
        """How many plans are stored, and of which kinds."""
        return self.database.ask(lambda connection: read_figures(connection, most_classes))

    def find_statuses(self, filters: Mapping[str, Any] | None = None) -> dict[str, PlanStatus]:
        """Where the plans stand that these filters let through."""
        return self.database.ask(lambda connection: queries.find_plan_statuses(connection, filters))

    def load_attempts(self, plan_id: str, step_id: int | None = None) -> list[AttemptRow]:
        """The attempts of a plan's steps, or of one step, that did not succeed, in order."""
        return self.database.ask(lambda connection: queries.read_attempts(connection, plan_id, step_id))
