"""Skeletons and a small driver: the director with a store that forgets nothing."""

from dynflow_mp.director.director import Director
from dynflow_mp.director.failures import DEFAULT_CONDUCT
from dynflow_mp.director.instructions import Answer, ReadyEvent, ReadyFinalize, ReadySteps, RemindAt, Withdraw
from dynflow_mp.director.stimuli import FinalizeFinished, PlanArrived, PlanRequested, StepFinished, StepsSent
from dynflow_mp.model.flows import Sequence, step_ids
from dynflow_mp.model.plans import PlanSkeleton, StepKind, StepTable
from dynflow_mp.model.states import PlanState, StepState
from dynflow_mp.model.work import ErrorRecord, StepOutcome
from dynflow_mp.model.writes import MarkRunning, MoveStep, ResetStep, SaveOutcome, UnmarkRunning

WORLD, CLIENT, PLAN = "world", "client", "plan"


def a_skeleton(run_flow, finalize=(), *, plan_id=PLAN, states=None, attempts=None, kinds=None, **changes):
    """A plan whose action ids equal its step ids; ``kinds`` are classes other than A by step."""
    ids = [*step_ids(run_flow), *finalize]
    table = StepTable(max(ids, default=0))
    for step_id in ids:
        table.add(
            step_id,
            (states or {}).get(step_id, StepState.PENDING),
            (attempts or {}).get(step_id, 0),
            step_id,
            StepKind((kinds or {}).get(step_id, "A"), "default"),
        )
    skeleton = PlanSkeleton(
        id=plan_id,
        label="A",
        state=PlanState.PLANNED,
        lock_epoch=0,
        owner_id=None,
        requested_at=1,
        started_at=None,
        run_flow=run_flow,
        finalize_flow=Sequence(finalize),
        steps=table,
        step_times={},
        planning_time=0.0,
        policies={},
        dependencies={},
        history=(),
    )
    return skeleton._replace(**changes)


def success(step_id, **changes):
    return StepOutcome(step_id, StepState.SUCCESS, 50, 0.5, 1.0, 1.0)._replace(**changes)


def failure(step_id, message="no disk", **changes):
    error = ErrorRecord("OSError", message).to_bytes()
    return StepOutcome(step_id, StepState.ERROR, 50, 0.5, 0.5, 1.0, error=error)._replace(**changes)


def skipped(step_id):
    return StepOutcome(step_id, StepState.SKIPPED, 50, 0.5, 0.5, 1.0)


def suspended(step_id, **changes):
    return StepOutcome(step_id, StepState.SUSPENDED, 50, 0.5, 0.5, 1.0)._replace(**changes)


class Driver:
    """Talks to a director and keeps what it said: stored step states, answers, what is ready."""

    def __init__(self, conduct=DEFAULT_CONDUCT):
        self.director = Director(WORLD, conduct)
        self.now = 0
        self.said = []
        self.stored = {}
        self.attempts = {}
        self.ready = []
        self.events = []
        self.reminders = []

    def tell(self, stimulus):
        self.now += 1
        said = self.director.handle(stimulus, self.now)
        self.said += said
        for instruction in said:
            self._note(instruction)
        return said

    def _note(self, instruction):
        if isinstance(instruction, ReadySteps):
            self.ready += instruction.step_ids
        elif isinstance(instruction, ReadyEvent):
            self.ready.append(instruction.step_id)
            self.events.append((instruction.step_id, instruction.data))
        elif isinstance(instruction, MarkRunning):
            self.stored[instruction.step_id] = StepState.RUNNING
            self.attempts[instruction.step_id] = instruction.attempt
        elif isinstance(instruction, SaveOutcome):
            assert self.stored[instruction.step_id] is instruction.from_state
            assert self.attempts[instruction.step_id] == instruction.attempt
            self.stored[instruction.step_id] = instruction.state
        elif isinstance(instruction, MoveStep):
            assert self.stored[instruction.step_id] is instruction.from_state
            assert self.attempts[instruction.step_id] == instruction.from_attempts
            self.stored[instruction.step_id] = instruction.to_state
            self.attempts[instruction.step_id] = instruction.to_attempts
        elif isinstance(instruction, UnmarkRunning):
            self.stored[instruction.step_id] = instruction.to_state
            self.attempts[instruction.step_id] = instruction.attempt - 1
        elif isinstance(instruction, ResetStep):
            self.stored[instruction.step_id] = StepState.PENDING
        elif isinstance(instruction, RemindAt):
            self.reminders.append(instruction)
        elif isinstance(instruction, Withdraw):
            self.ready = []

    def remind(self):
        """The next thing that was put off is due."""
        reminder = min(self.reminders)
        self.reminders.remove(reminder)
        self.now = max(self.now, reminder.due_at)
        return self.tell(reminder.stimulus)

    def start(self, skeleton, request_id="r1"):
        self.director.settle()  # whatever was said before is stored
        self.stored = {}
        for step_id in range(1, 100):
            if step_id in skeleton.steps:
                self.stored[step_id] = skeleton.steps.state(step_id)
                self.attempts[step_id] = skeleton.steps.attempts(step_id)
        self.tell(PlanRequested(skeleton.id, CLIENT, request_id))
        return self.tell(PlanArrived(skeleton))

    def send(self, *step_ids):
        for step_id in step_ids:
            if step_id in self.ready:
                self.ready.remove(step_id)
        return self.tell(StepsSent(PLAN, list(step_ids)))

    def finish(self, outcome):
        return self.tell(StepFinished(PLAN, self.attempts[outcome.step_id], outcome))

    def run(self, *outcomes):
        """Send and finish these steps one after the other."""
        for outcome in outcomes:
            self.send(outcome.step_id)
            said = self.finish(outcome)
        return said

    def finalize(self, *outcomes):
        self.send(0)
        return self.tell(FinalizeFinished(PLAN, outcomes))

    def answers(self, request_id="r1"):
        return [
            instruction.response
            for instruction in self.said
            if isinstance(instruction, Answer) and instruction.request_id == request_id
        ]


def only(kind, said):
    """The instructions of one kind."""
    return [instruction for instruction in said if isinstance(instruction, kind)]


__all__ = [name for name in dir() if not name.startswith("_")] + ["ReadyFinalize"]
