"""A store of plans in memory, for tests of reading: what the planner makes, as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from dynflow_mp import Action, PlanNotFound
from dynflow_mp.model.audits import Audit
from dynflow_mp.model.codec import encode
from dynflow_mp.model.flows import flow_tokens
from dynflow_mp.model.plans import HistoryEntry, PlannedPlan, history_to_data
from dynflow_mp.persistence.rows import ActionRow, ChunkRow, PlanRow, StepRow
from dynflow_mp.planning.planner import plan

PLAN_ID = "0193f0c5-0000-7000-8000-000000000001"


class PlanShelf:
    """Holds rows; ``change_step`` and its like stand for what executors would have done."""

    def __init__(self) -> None:
        self.plans: dict[str, PlanRow] = {}
        self.steps: dict[int, StepRow] = {}
        self.actions: dict[int, ActionRow] = {}
        self.chunks: list[ChunkRow] = []
        self.audits: list[Audit] = []
        self.reads: list[str] = []

    def put(self, made: PlannedPlan, history: Sequence[HistoryEntry] = ()) -> None:
        self.plans[made.id] = _plan_row(made, history)
        for step in made.steps:
            children = encode(list(step.children), "children") if step.children else None
            self.steps[step.id] = StepRow(
                made.id, *step[:6], 0, step.error, children, *step[9:], 0.0, step.progress_weight
            )
        for action in made.actions:
            self.actions[action.id] = ActionRow(
                made.id,
                *action[:2],
                action.caller_plan_id,
                action.caller_action_id,
                *action[2:5],
                *action[7:],
                None,
            )

    def load_output_chunks(self, plan_id: str, action_id: int, kind: str | None = None) -> list[ChunkRow]:
        return [row for row in self.chunks if kind is None or row.kind == kind]

    def load_audits(self, plan_id: str) -> list[Audit]:
        return [audit for audit in self.audits if audit.plan_id == plan_id]

    def change_plan(self, **fields: Any) -> None:
        self.plans[PLAN_ID] = self.plans[PLAN_ID]._replace(**fields)

    def change_step(self, step_id: int, **fields: Any) -> None:
        self.steps[step_id] = self.steps[step_id]._replace(**fields)

    def change_action(self, action_id: int, **fields: Any) -> None:
        self.actions[action_id] = self.actions[action_id]._replace(**fields)

    def load_whole_plan(
        self, plan_id: str, up_to_steps: int
    ) -> tuple[PlanRow, list[StepRow], list[ActionRow]]:
        self.reads.append("plan")
        if plan_id not in self.plans:
            raise PlanNotFound(f"no plan {plan_id}", plan_id)
        row = self.plans[plan_id]
        if row.step_count > up_to_steps:
            return row, [], []
        return row, self.load_steps(plan_id), self.load_actions(plan_id)

    def load_steps(self, plan_id: str, step_ids: Sequence[int] | None = None) -> list[StepRow]:
        self.reads.append("steps" if step_ids is None else f"steps {list(step_ids)}")
        return [row for number, row in self.steps.items() if step_ids is None or number in step_ids]

    def load_actions(self, plan_id: str, action_ids: Sequence[int] | None = None) -> list[ActionRow]:
        self.reads.append("actions" if action_ids is None else f"actions {list(action_ids)}")
        return [row for number, row in self.actions.items() if action_ids is None or number in action_ids]

    def find_execution_plans(self, filters: Mapping[str, Any] | None = None) -> list[PlanRow]:
        wanted = dict(filters or {})
        return [
            row
            for row in self.plans.values()
            if all(getattr(row, name) == value for name, value in wanted.items())
        ]


def shelf_with(kind: type[Action], *args: Any, **kwargs: Any) -> PlanShelf:
    """A shelf that holds one plan of ``kind``."""
    clock = count(1_000_000, 1_000)
    shelf = PlanShelf()
    shelf.put(plan(kind, args, kwargs, now=lambda: next(clock), new_id=lambda: PLAN_ID).plan)
    return shelf


def _plan_row(made: PlannedPlan, history: Sequence[HistoryEntry]) -> PlanRow:
    return PlanRow(
        made.id,
        made.label,
        made.state,
        made.result,
        made.root_plan_step_id,
        encode(flow_tokens(made.run_flow), "flow"),
        encode(flow_tokens(made.finalize_flow), "flow"),
        encode(history_to_data(history), "history"),
        encode({name: policy.to_data() for name, policy in made.policies.items()}, "policies"),
        encode([[consumer, list(made)] for consumer, made in made.dependencies], "dependencies"),
        made.started_at,
        made.ended_at,
        made.execution_time,
        made.real_time,
        None,
        None,
        0,
        made.caller_plan_id,
        made.caller_action_id,
        len(made.steps),
        0,
    )
