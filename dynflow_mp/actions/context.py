"""What an action may ask for in each phase.

An action object holds one context and hands everything on to it. The base refuses everything;
the phases override what they have (run and finalize in ``phases``, plan in the planner, present
where plans are read).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from dynflow_mp.actions.unwinding import Failed
from dynflow_mp.errors import WrongPhase
from dynflow_mp.model.policies import RescueStrategy
from dynflow_mp.model.states import Phase

if TYPE_CHECKING:
    from dynflow_mp.actions.action import Action
    from dynflow_mp.actions.sub_plan import SubPlan
    from dynflow_mp.model.sub_plans import Briefing, Orders


class SuspendedAction(NamedTuple):
    """Where to send the event that wakes an action: plain data, for any other system to keep."""

    plan_id: str
    step_id: int


class Context:
    """Facts and abilities of one action in one phase."""

    __slots__ = ()

    phase: Phase

    def refuse(self, what: str, *required: Phase) -> NoReturn:
        raise WrongPhase(what, self.phase.value, tuple(phase.value for phase in required))

    # -- facts -----------------------------------------------------------------------------------

    @property
    def plan_id(self) -> str:
        raise NotImplementedError

    @property
    def action_id(self) -> int:
        raise NotImplementedError

    @property
    def plan_step_id(self) -> int:
        self.refuse("plan_step_id", Phase.PLAN, Phase.PRESENT)

    @property
    def run_step_id(self) -> int | None:
        self.refuse("run_step_id", Phase.PLAN, Phase.RUN, Phase.PRESENT)

    @property
    def finalize_step_id(self) -> int | None:
        self.refuse("finalize_step_id", Phase.PLAN, Phase.FINALIZE, Phase.PRESENT)

    def get_input(self) -> dict[str, Any]:
        raise NotImplementedError

    def set_input(self, value: dict[str, Any]) -> None:
        self.refuse("input=", Phase.PLAN)

    def get_output(self) -> Any:
        raise NotImplementedError

    def set_output(self, value: dict[str, Any]) -> None:
        self.refuse("output=", Phase.RUN)

    # -- plan ------------------------------------------------------------------------------------

    @property
    def triggering(self) -> Action | None:
        self.refuse("triggering", Phase.PLAN)

    @property
    def is_root(self) -> bool:
        self.refuse("is_root", Phase.PLAN, Phase.PRESENT)

    @property
    def from_subscription(self) -> bool:
        self.refuse("from_subscription", Phase.PLAN)

    def plan_self(self, action: Action, values: Mapping[str, Any] | None, named: Mapping[str, Any]) -> None:
        self.refuse("plan_self", Phase.PLAN)

    def plan_action(
        self, parent: Action, kind: type[Action], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        self.refuse("plan_action", Phase.PLAN)

    def sequence(self) -> AbstractContextManager[None]:
        self.refuse("sequence", Phase.PLAN)

    def concurrence(self) -> AbstractContextManager[None]:
        self.refuse("concurrence", Phase.PLAN)

    # -- run -------------------------------------------------------------------------------------

    def suspend(self, before: Callable[[SuspendedAction], object] | None) -> NoReturn:
        self.refuse("suspend", Phase.RUN)

    def suspended_action(self) -> SuspendedAction:
        self.refuse("suspended_action", Phase.RUN)

    def plan_event(
        self, event: Any, delay_s: float | None, optional: bool, plan_id: str | None, step_id: int | None
    ) -> None:
        self.refuse("plan_event", Phase.RUN)

    def trigger(
        self, kind: type[Action], args: tuple[Any, ...], kwargs: dict[str, Any], held_back: bool = False
    ) -> SubPlan:
        self.refuse("trigger", Phase.RUN)

    def briefing(self) -> Briefing:
        """How the action's sub-plans stood when this call was made ready."""
        self.refuse("briefing", Phase.RUN)

    def order(self, orders: Orders) -> None:
        """What is to be done with the action's sub-plans once this call's outcome is stored."""
        self.refuse("order", Phase.RUN)

    def report_progress(self, done: float) -> None:
        self.refuse("report_progress", Phase.RUN, Phase.FINALIZE)

    def output_chunk(self, value: Any, kind: str | None) -> None:
        self.refuse("output_chunk", Phase.RUN, Phase.FINALIZE)

    def drop_output_chunks(self) -> None:
        self.refuse("drop_output_chunks", Phase.RUN, Phase.FINALIZE)

    # -- plan, run and finalize ------------------------------------------------------------------

    def error(self, what: str | BaseException) -> NoReturn:
        raise Failed(what)

    # -- present ---------------------------------------------------------------------------------

    def sub_plans(self) -> list[Any]:
        self.refuse("sub_plans", Phase.PRESENT)

    def sub_plans_count(self) -> int:
        self.refuse("sub_plans_count", Phase.PRESENT)

    @property
    def state(self) -> str:
        self.refuse("state", Phase.RUN, Phase.FINALIZE, Phase.PRESENT)

    @property
    def caller_action(self) -> Action | None:
        self.refuse("caller_action", Phase.PRESENT)

    def output_chunks(self, kind: str | None) -> list[Any]:
        self.refuse("output_chunks", Phase.PRESENT)

    def rescue_strategy(self) -> RescueStrategy | None:
        self.refuse("rescue_strategy_for_planned_action", Phase.PRESENT)

    def planned_actions(self, kind: type[Action] | None) -> list[Action]:
        self.refuse("planned_actions", Phase.PRESENT)

    def all_planned_actions(self, kind: type[Action] | None) -> list[Action]:
        self.refuse("all_planned_actions", Phase.PRESENT)

    def steps(self) -> list[Any]:
        self.refuse("steps", Phase.PRESENT)
