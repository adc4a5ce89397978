"""An action and its sub-plans without a store: the test says what becomes of each."""

from collections import Counter

from dynflow_mp.actions.phases import run_step
from dynflow_mp.actions.registry import name_of
from dynflow_mp.model.codec import EMPTY, decode, encode
from dynflow_mp.model.planned_codec import plan_from_bytes
from dynflow_mp.model.policies import RescueStrategy
from dynflow_mp.model.signals import Signal
from dynflow_mp.model.states import PlanState, Result
from dynflow_mp.model.sub_plans import Briefing, Ending, NewSubPlan, Orders, SubPlanCount
from dynflow_mp.model.work import ErrorRecord, StepJob
from dynflow_mp.planning.planner import plan
from dynflow_mp.planning.sub_plans import sub_planner

PLANNED = (PlanState.PLANNED, Result.PENDING)
RUNNING = (PlanState.RUNNING, Result.PENDING)
ENDED = {result: (PlanState.STOPPED, result) for result in Result}
FAILED = (PlanState.PAUSED, Result.ERROR)


class Brood:
    """Calls ``run`` of one action, stores what it triggers, and does as it orders."""

    def __init__(self, kind, *args, **kwargs):
        self.now = 1_700_000_000_000_000
        self.made = plan(kind, args, kwargs, now=self._tick, new_id=lambda: "parent")
        assert self.made.error is None, self.made.error
        action = self.made.plan.actions[0]
        self.job = StepJob("parent", action.run_step_id, 1, 1, name_of(kind), action.input)
        self.output = EMPTY
        self.sub_plans = {}
        """By id: [state and result, begun, requested]."""
        self.outcome = None
        self.ends = []

    def _tick(self):
        self.now += 1000
        return self.now

    def run(self, event=None):
        """One call; what came of it."""
        told = event is not Signal.NEXT_BATCH
        job = self.job._replace(
            output=self.output,
            event=None if event is None else self._encoded(event),
            briefing=self.briefing().to_bytes() if told else None,
        )
        self.outcome = outcome = run_step(job, plan_sub_plan=sub_planner(self._tick, lambda n: bytes(n)))
        self.output = self.output if outcome.output is None else outcome.output
        for data in outcome.plans:
            new = NewSubPlan.from_bytes(data)
            planned = plan_from_bytes(new.plan)
            self.sub_plans[new.id] = [(planned.state, planned.result), False, new.start]
        orders = Orders() if outcome.orders is None else Orders.from_bytes(outcome.orders)
        for sub_plan_id in orders.start:
            self.sub_plans[sub_plan_id][2] = True
        if orders.end is not None:
            self._end(orders.end)
        return outcome

    def _encoded(self, event):
        return encode("skip" if event is RescueStrategy.SKIP else event, "event")

    def _end(self, how):
        self.ends.append(how)
        for sub_plan in self.sub_plans.values():
            if sub_plan[0] == PLANNED and not (sub_plan[2] and how is Ending.HELD_BACK):
                sub_plan[:] = [ENDED[Result.ERROR], True, False]

    def briefing(self):
        counted = Counter(
            (*standing, begun, bool(asked)) for standing, begun, asked in self.sub_plans.values()
        )
        held_back = tuple(
            i for i, (standing, _, asked) in self.sub_plans.items() if standing == PLANNED and not asked
        )
        return Briefing(tuple(SubPlanCount(*key, number) for key, number in counted.items()), held_back)

    def become(self, standing, number=None):
        """So many (or all) of those that may run and have not ended become this."""
        open_ones = [
            sub_plan
            for sub_plan in self.sub_plans.values()
            if sub_plan[2] and sub_plan[0] in (PLANNED, RUNNING, FAILED)
        ]
        for sub_plan in open_ones[:number]:
            sub_plan[:] = [standing, True, standing in (PLANNED, RUNNING)]

    @property
    def may_run(self):
        """How many were started and have not ended."""
        return sum(
            1 for standing, _, asked in self.sub_plans.values() if asked and standing in (PLANNED, RUNNING)
        )

    @property
    def shown(self):
        return decode(self.output)

    @property
    def error(self):
        return None if self.outcome.error is None else ErrorRecord.from_bytes(self.outcome.error)

    def timers(self, event):
        """Delays of the events of this kind that the last call planned."""
        data = encode(event, "event")
        return [planned.delay_s for planned in self.outcome.events if planned.data == data]
