"""What an action shows of itself when its plan is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.failure import exception_name, message_of
from dynflow_mp.actions.middleware import Layers, call
from dynflow_mp.actions.referred import show_references
from dynflow_mp.actions.stored_context import StoredContext
from dynflow_mp.model.states import StepState

if TYPE_CHECKING:
    from dynflow_mp.persistence.rows import ActionRow
    from dynflow_mp.reading.execution_plan import ExecutionPlan


PASSED = (StepState.SUCCESS, StepState.SKIPPED)


class Presence(StoredContext["ActionRow"]):
    """One stored action, in phase present. Input and output are decoded when they are looked at."""

    __slots__ = ("_plan",)

    def __init__(self, plan: ExecutionPlan, row: ActionRow) -> None:
        super().__init__(row.execution_plan_id, row)
        self._plan = plan

    def sub_plans(self) -> list[Any]:
        return self._plan.sub_plans(self.action_id)

    def sub_plans_count(self) -> int:
        return self._plan.count_sub_plans(self.action_id)

    def _decoded_input(self) -> dict[str, Any]:
        """References that were not resolved yet stand in their places."""
        values = super()._decoded_input()
        show_references(values, self._row.references, self._plan_id)
        return values

    def set_input(self, value: dict[str, Any]) -> None:
        """What is shown; nothing stores it."""
        self._input = value

    def set_output(self, value: dict[str, Any]) -> None:
        """What is shown; nothing stores it."""
        self._output = value

    def pass_through(self, layers: Layers, action: Action) -> None:
        """Let the middleware have its say about what is shown. Where it fails nothing is: it may be there to hide."""
        try:
            call(layers, "present", self.plan_id, action, lambda: None)()
        except Exception as error:
            self._input = self._output = {
                "cannot be shown": f"{exception_name(type(error))}: {message_of(error)}"
            }

    @property
    def state(self) -> str:
        """Of the first of its steps that is not done; of the last when all are."""
        own = [step for step in self.steps() if step is not None]
        left = [step for step in own if step.state not in PASSED]
        return str((left or own[-1:])[0].state)

    @property
    def is_root(self) -> bool:
        """An action that another one of the same plan planned knows only the action, not the plan."""
        return self._row.caller_action_id is None or self._row.caller_execution_plan_id is not None

    @property
    def caller_action(self) -> Action | None:
        return self._plan.caller_of(self._row)

    def output_chunks(self, kind: str | None) -> list[Any]:
        return list(self._plan.output_chunks(self.action_id, kind))

    def planned_actions(self, kind: type[Action] | None) -> list[Action]:
        steps = self._plan.steps
        children = steps[self._row.plan_step_id].children
        return _of_kind([self._plan.action(steps[child].action_id) for child in children], kind)

    def all_planned_actions(self, kind: type[Action] | None) -> list[Action]:
        own = self.planned_actions(None)
        deeper = [action for child in own for action in child.all_planned_actions()]
        return _of_kind(own + deeper, kind)

    def steps(self) -> list[Any]:
        ids = (self._row.plan_step_id, self._row.run_step_id, self._row.finalize_step_id)
        return [None if step_id is None else self._plan.steps[step_id] for step_id in ids]


def _of_kind(actions: list[Action], kind: type[Action] | None) -> list[Action]:
    return actions if kind is None else [action for action in actions if isinstance(action, kind)]
