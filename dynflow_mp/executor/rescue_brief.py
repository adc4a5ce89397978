"""What a plan's actions need to be asked about its failed steps: the actions concerned, read from the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from dynflow_mp.actions.rescue import AskedAction, question
from dynflow_mp.director.instructions import RunErrand
from dynflow_mp.model.codec import decode
from dynflow_mp.model.states import Phase
from dynflow_mp.persistence.rows import ActionRow, StepRow


class PlanStore(Protocol):
    """What the brief needs of the store."""

    def load_steps(self, plan_id: str, step_ids: Sequence[int] | None = None) -> list[StepRow]: ...
    def load_actions(self, plan_id: str, action_ids: Sequence[int] | None = None) -> list[ActionRow]: ...


def rescue_brief(store: PlanStore, order: RunErrand) -> bytes:
    """The question about the failed steps whose ids the errand brought."""
    steps = {step.id: step for step in store.load_steps(order.plan_id)}
    failed = [steps[step_id] for step_id in decode(order.data)]
    parents = _parents(steps.values())
    asked: dict[int, None] = {}
    below: dict[int, dict[int, None]] = {}
    root = 0
    for step in failed:
        action_id: int | None = step.action_id
        while action_id is not None:
            asked[action_id] = None
            root, parent = action_id, parents.get(action_id)
            if parent is not None:
                below.setdefault(parent, {})[action_id] = None
            action_id = parent
    actions = [
        _asked(action, sorted(below.get(action.id, ())), failed)
        for action in store.load_actions(order.plan_id, list(asked))
    ]
    return question(root, actions)


def _parents(steps: Iterable[StepRow]) -> dict[int, int]:
    """By action, the action that planned it."""
    planned = {step.id: step for step in steps if step.phase is Phase.PLAN}
    return {
        planned[child].action_id: step.action_id
        for step in planned.values()
        if step.children is not None
        for child in decode(step.children)
    }


def _asked(action: ActionRow, planned: list[int], failed: list[StepRow]) -> AskedAction:
    return AskedAction(
        action.id,
        action.action_class,
        action.plan_step_id,
        action.run_step_id,
        action.finalize_step_id,
        action.input,
        action.references,
        action.output,
        planned,
        [[step.id, step.phase.value, step.error] for step in failed if step.action_id == action.id],
    )
