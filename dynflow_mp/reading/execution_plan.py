"""A plan as people see it: what was stored when it was read; it does not follow later changes."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from heapq import merge
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from dynflow_mp.actions.action import Action, Missing, action_in, find_or_missing
from dynflow_mp.actions.named_rules import NO_RULES, NamedRules
from dynflow_mp.errors import DamagedData, DynflowError, PlanNotFound
from dynflow_mp.model.codec import decode
from dynflow_mp.model.flows import Flow, flow_from_tokens
from dynflow_mp.model.plans import history_from_data
from dynflow_mp.model.policies import ActionPolicy
from dynflow_mp.model.states import UNPLANNED, Phase, PlanState, Result, StepState, result_of
from dynflow_mp.reading.chunk import Chunk, chunk_of
from dynflow_mp.reading.plan_source import PlanSource
from dynflow_mp.reading.presence import Presence
from dynflow_mp.reading.presentation import Presentation, presentation_of
from dynflow_mp.reading.recorded_error import RecordedError
from dynflow_mp.reading.step import Step, at

if TYPE_CHECKING:
    from dynflow_mp.persistence.rows import ActionRow, PlanRow

EAGER_STEPS = 500
"""Plans up to this size are read whole at once; of larger ones, what is asked for."""


class PastEvent(NamedTuple):
    """One line of a plan's execution history."""

    time: datetime
    name: str
    world_id: str | None
    by: str | None = None
    """Who did it, if somebody did and said so."""

    def __str__(self) -> str:
        where = f" @ {self.world_id}" if self.world_id else ""
        who = f" by {self.by}" if self.by else ""
        return f"{self.time:%Y-%m-%d %H:%M:%S} UTC: {self.name}{who}{where}"


class ExecutionPlan:
    """One plan with its steps and actions."""

    valid = True
    """Whether all of it can be read."""
    exception: DynflowError | None = None
    """Why it cannot."""

    def __init__(self, row: PlanRow, source: PlanSource, middleware: NamedRules = NO_RULES) -> None:
        self._row = row
        self._source = source
        self._middleware = middleware
        self._actions: dict[int, Action] = {}
        self._classes: dict[str, type[Action]] = {}

    @classmethod
    def load(cls, plan_id: str, source: PlanSource, middleware: NamedRules = NO_RULES) -> ExecutionPlan:
        """Read one plan. Raises :class:`PlanNotFound`, or :class:`InvalidPlan` if it cannot be read."""
        row, steps, actions = source.load_whole_plan(plan_id, EAGER_STEPS)
        plan = cls(row, source, middleware)
        if steps:
            plan._take_actions(actions)
            plan.steps = {step.id: Step(step, source) for step in steps}
        return plan

    # -- the plan itself -------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self._row.id

    @property
    def label(self) -> str:
        """What the plan is called in lists: its root action's label."""
        return self._row.label

    @property
    def state(self) -> PlanState:
        return self._row.state

    @property
    def result(self) -> Result:
        """What its steps have come to so far."""
        if "steps" in self.__dict__:
            return result_of(step.state for step in self.steps.values())
        return self._row.result

    @property
    def deadline(self) -> datetime | None:
        """After it nothing of the plan begins any more."""
        return at(self._row.deadline_at)

    @property
    def created_at(self) -> datetime | None:
        """When it was stored."""
        return at(self._row.created_at)

    @property
    def requested_at(self) -> datetime | None:
        """Since when it is to be run, by any executor; None: nobody has asked for it (any more)."""
        return at(self._row.requested_at)

    @property
    def owner_id(self) -> str | None:
        """The world that runs it."""
        return self._row.owner_id

    @property
    def started_at(self) -> datetime | None:
        return at(self._row.started_at)

    @property
    def ended_at(self) -> datetime | None:
        return at(self._row.ended_at)

    @property
    def execution_time(self) -> float:
        """Seconds its steps took together; known once it stopped."""
        return self._row.execution_time

    @property
    def real_time(self) -> float:
        """Seconds from its start to its end; known once it stopped."""
        return self._row.real_time

    @property
    def caller_execution_plan_id(self) -> str | None:
        """The plan of which this is a sub-plan."""
        return self._row.caller_execution_plan_id

    @property
    def caller_action_id(self) -> int | None:
        """The action of that plan that made this one."""
        return self._row.caller_action_id

    @cached_property
    def run_flow(self) -> Flow:
        """In which order its run steps run."""
        return flow_from_tokens(decode(self._row.run_flow))

    @cached_property
    def finalize_flow(self) -> Flow:
        """In which order its finalize steps run."""
        return flow_from_tokens(decode(self._row.finalize_flow))

    @cached_property
    def policies(self) -> dict[str, ActionPolicy]:
        """What its action classes asked of the engine when it was planned."""
        return {name: ActionPolicy.from_data(data) for name, data in decode(self._row.policies).items()}

    @cached_property
    def dependencies(self) -> dict[int, tuple[int, ...]]:
        """By action, the actions whose outputs its input refers to."""
        return {consumer: tuple(made) for consumer, made in decode(self._row.dependencies)}

    @cached_property
    def execution_history(self) -> list[PastEvent]:
        """Who executed it when, and what people did to it by hand."""
        entries = history_from_data(decode(self._row.history))
        audits = self._source.load_audits(self.id)
        # What is in both was written in one transaction: the audit says more.
        told = [
            (entry.time, entry.name, entry.world_id, None)
            for entry in entries
            if not any(one.time == entry.time and one.deed.startswith(entry.name) for one in audits)
        ]
        deeds = [(audit.time, audit.deed, audit.world_id, audit.by) for audit in audits]
        # Each in its own order, whatever the clocks of several hosts say.
        lines = merge(told, deeds, key=itemgetter(0))
        return [PastEvent(_known(at(time)), name, world_id, by) for time, name, world_id, by in lines]

    def sub_plans(self, action_id: int | None = None) -> list[ExecutionPlan]:
        """The plans that actions of this one triggered, or one of them, as they are stored now."""
        rows = self._source.find_execution_plans(self._sub_plans_of(action_id))
        return [ExecutionPlan(row, self._source, self._middleware) for row in rows]

    @property
    def sub_plans_count(self) -> int:
        """How many plans its actions have triggered so far."""
        return self.count_sub_plans()

    def count_sub_plans(self, action_id: int | None = None) -> int:
        """How many plans its actions, or one of them, have triggered so far."""
        return self._source.count_execution_plans(self._sub_plans_of(action_id))

    def _sub_plans_of(self, action_id: int | None) -> dict[str, Any]:
        of_plan: dict[str, Any] = {"caller_execution_plan_id": self.id}
        return of_plan if action_id is None else {**of_plan, "caller_action_id": action_id}

    # -- its steps -------------------------------------------------------------------------------

    @cached_property
    def steps(self) -> dict[int, Step]:
        """Every step by its id, in the order of the ids."""
        return {row.id: Step(row, self._source) for row in self._source.load_steps(self.id)}

    @property
    def root_plan_step(self) -> Step:
        """The plan step of the entry action."""
        return self.steps[self._row.root_plan_step_id]

    @property
    def plan_steps(self) -> list[Step]:
        return [step for step in self.steps.values() if step.phase is Phase.PLAN]

    @property
    def run_steps(self) -> list[Step]:
        return [step for step in self.steps.values() if step.phase is Phase.RUN]

    @property
    def finalize_steps(self) -> list[Step]:
        return [step for step in self.steps.values() if step.phase is Phase.FINALIZE]

    def steps_in_state(self, *states: StepState | str) -> list[Step]:
        """The steps that are in one of these states."""
        return [step for step in self.steps.values() if step.state in states]

    @property
    def failed_steps(self) -> list[Step]:
        return self.steps_in_state(StepState.ERROR)

    @property
    def cancellable(self) -> bool:
        """Whether it, or a step of it, could be cancelled when it was read."""
        if self.state in (PlanState.SCHEDULED, PlanState.PLANNING):
            return True
        if self.state is not PlanState.RUNNING:
            return False
        able = {name for name, policy in self.policies.items() if policy.cancellable}
        return bool(able) and any(
            step.action_class_name in able and step.phase is Phase.RUN
            for step in self.steps_in_state(StepState.RUNNING, StepState.SUSPENDED)
        )

    @property
    def errors(self) -> list[RecordedError]:
        """Why each step that failed did; a step that succeeded at a later attempt has none."""
        return [error for step in self.steps.values() if (error := step.error) is not None]

    @property
    def progress(self) -> float:
        """How much of the run and finalize steps is done, from 0 to 1, by their weights."""
        if self.state in UNPLANNED:
            return 0.0
        counted = [step for step in self.steps.values() if step.phase is not Phase.PLAN]
        total = sum(step.progress_weight for step in counted)
        if total == 0:
            return 1.0
        return sum(step.progress_done * step.progress_weight for step in counted) / total

    # -- its actions -----------------------------------------------------------------------------

    @property
    def entry_action(self) -> Action:
        """The action the plan was made for."""
        if "steps" in self.__dict__:
            return self.action(self.root_plan_step.action_id)
        (root,) = self._source.load_steps(self.id, [self._row.root_plan_step_id])
        return self.action(root.action_id)

    @property
    def actions(self) -> list[Action]:
        """Every action, in the order of their ids."""
        missing = {step.action_id for step in self.steps.values()} - self._actions.keys()
        if missing:
            self._take_actions(self._source.load_actions(self.id))
        return [self._actions[action_id] for action_id in sorted(self._actions)]

    def action(self, action_id: int) -> Action:
        """One action, to look at: its class's own methods may present it. ``KeyError`` if there is none."""
        if action_id not in self._actions:
            self._take_actions(self._source.load_actions(self.id, [action_id]))
        return self._actions[action_id]

    def presentation(self, action_id: int) -> Presentation:
        """One action as its class presents it, in words for people; whatever it does, nothing is raised."""
        return presentation_of(self.action(action_id))

    def caller_of(self, row: ActionRow) -> Action | None:
        """The action on whose behalf this one was planned; None without one, or when its plan is gone."""
        if row.caller_action_id is None:
            return None
        if row.caller_execution_plan_id in (None, self.id):
            return self.action(row.caller_action_id)
        try:
            caller = ExecutionPlan.load(str(row.caller_execution_plan_id), self._source, self._middleware)
            return caller.action(row.caller_action_id)
        except PlanNotFound:
            return None

    def output_chunks(self, action_id: int, kind: str | None = None) -> list[Chunk]:
        """What one action wrote by ``output_chunk``, as it is stored now."""
        rows = self._source.load_output_chunks(self.id, action_id, kind)
        return [chunk_of(row) for row in rows]

    def _take_actions(self, rows: list[ActionRow]) -> None:
        for row in rows:
            if row.id not in self._actions:
                self._actions[row.id] = self._presented(row)

    def _presented(self, row: ActionRow) -> Action:
        kind, presence = self._class_of(row.action_class), Presence(self, row)
        action = action_in(kind, presence)
        layers = self._middleware.rules.around(kind).present
        if layers:
            presence.pass_through(layers, action)
        return action

    def _class_of(self, name: str) -> type[Action]:
        kind = self._classes.get(name)
        if kind is None:
            kind = self._classes[name] = find_or_missing(name)
            if issubclass(kind, Missing):
                kind.sensitive = self._declared_sensitive(name)
        return kind

    def _declared_sensitive(self, name: str) -> tuple[str, ...]:
        """What a class did not want shown when the plan was made; it need not be known here."""
        try:
            return self.policies[name].sensitive
        except (DynflowError, LookupError, TypeError, ValueError, AttributeError):
            return ()

    def __repr__(self) -> str:
        return f"<ExecutionPlan {self.id} {self.label}: {self.state}, {self.result}>"


def _known(time: datetime | None) -> datetime:
    if time is None:
        raise DamagedData("a stored time is in no calendar")
    return time
