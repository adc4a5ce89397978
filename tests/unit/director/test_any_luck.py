"""Any plan, any luck: failures, retries, skips, crashes, deaths of executors, events, resumes, in any order.

Whatever happens, each attempt at the plan ends once, answered and with a cause; no step begins before those it stands
behind have ended well; none is called twice without a recorded reason; the result follows from the steps.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans_for_tests import PLAN, WORLD, Driver, a_skeleton, failure, only, skipped, success, suspended
from test_running_plan import shapes

from dynflow_mp.director.abandoned import settle
from dynflow_mp.director.amending import skip
from dynflow_mp.director.director import Director
from dynflow_mp.director.failures import Conduct
from dynflow_mp.director.instructions import HandOver, ReadyFinalize, StopStep, Withdraw
from dynflow_mp.director.protocol import FINALIZE, Asker
from dynflow_mp.director.stimuli import (
    EventArrived,
    FinalizeFinished,
    HaltRequested,
    StepFinished,
    StepLost,
    StepsReturned,
)
from dynflow_mp.errors import NotSkippable
from dynflow_mp.model.flows import Concurrence, Sequence, step_ids
from dynflow_mp.model.messages import Done
from dynflow_mp.model.plans import Setback
from dynflow_mp.model.policies import ActionPolicy, RetryPolicy
from dynflow_mp.model.states import PlanState, Result, StepState, result_of
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.model.writes import MoveStep, ResetStep, SaveOutcome, SavePlan

S = StepState
FINALIZING = [90, 91]
KINDS = {
    "pause": ActionPolicy(),
    "skip": ActionPolicy(rescue_strategy="skip"),
    "skip, told": ActionPolicy(rescue_strategy="skip", accepts_event=True),
    "fail": ActionPolicy(rescue_strategy="fail"),
    "none": ActionPolicy(rescue_strategy=None, accepts_event=True),
    "retry": ActionPolicy(retry=RetryPolicy(3, 1.0, 2.0, 0.1, ("WorkerLost",))),
    "retry at once": ActionPolicy(rescue_strategy="skip", retry=RetryPolicy(2, 0.0, 1.0, 0.0)),
    "idempotent": ActionPolicy(idempotent=True, accepts_event=True),
}


def predecessors(flow):
    """By step, the steps that must have ended well before it."""
    found = {}

    def walk(node, before):
        if isinstance(node, int):
            found[node] = before
            return {node}
        within, done = set(), set(before)
        for child in node:
            ids = walk(child, frozenset(done))
            within |= ids
            if isinstance(node, Sequence):
                done |= ids
        return within

    walk(flow, frozenset())
    return found


class World:
    """A director, the workers it talks to, and a store that keeps what is written, over several attempts at a plan."""

    def __init__(self, flow, kinds, dependencies, conduct, data):
        self.driver = Driver(conduct)
        self.conduct, self.data = conduct, data
        self.steps = [*step_ids(flow), *FINALIZING]
        self.before = predecessors(flow)
        self.plan = a_skeleton(flow, FINALIZING, kinds=kinds, policies=KINDS, dependencies=dependencies)
        self.driver.stored = dict.fromkeys(self.steps, S.PENDING)
        self.driver.attempts = dict.fromkeys(self.steps, 0)
        self.setbacks = {}
        self.written = 0
        self.halted = False
        # By step, how often it was begun anew, and how often something was recorded that explains it.
        self.calls = dict.fromkeys(self.steps, 0)
        self.reasons = dict.fromkeys(self.steps, 0)

    def pick(self, *options):
        return self.data.draw(st.sampled_from(options))

    def skeleton(self, **changes):
        """The plan as it is stored."""
        stored, attempts = self.driver.stored, self.driver.attempts
        steps = a_skeleton(Concurrence(self.steps), states=stored, attempts=attempts).steps
        for step in self.steps:
            self.plan.steps.set_state(step, steps.state(step))
            self.plan.steps.set_attempts(step, steps.attempts(step))
        return self.plan._replace(setbacks=dict(self.setbacks), **changes)

    def take(self, writes):
        """Writes that were decided outside the director."""
        self.driver.said += writes
        for write in writes:
            self.driver._note(write)
        self.look()

    def look(self):
        """What was written since the last look."""
        said, self.written = self.driver.said[self.written :], len(self.driver.said)
        for one in said:
            if isinstance(one, SaveOutcome) and one.state is S.ERROR:
                assert ErrorRecord.from_bytes(one.error).message
                self.reasons[one.step_id] += 1
            elif isinstance(one, MoveStep):
                self.setbacks[one.step_id] = Setback(one.due_at, one.retries or 0, one.crashes or 0)
            elif isinstance(one, ResetStep):
                self.setbacks.pop(one.step_id, None)
            elif isinstance(one, ReadyFinalize):
                self.finalizing = one.step_ids
            elif isinstance(one, StopStep):
                self.stopped.add(one.step_id)
            elif isinstance(one, Withdraw):
                self.finalizing = None
            elif isinstance(one, SavePlan):
                self.plan = self.plan._replace(state=one.state)
                assert one.result is result_of(self.driver.stored.values())

    # -- one attempt at the plan -------------------------------------------------------------------

    def attempt(self):
        """Run the plan until it is given up; returns what was said."""
        driver, epoch = self.driver, self.plan.lock_epoch
        driver.director = Director(WORLD, self.conduct)
        driver.ready, driver.reminders = [], []
        self.sent, self.stopped, self.finalizing, self.finalize_sent = {}, set(), None, False
        first = len(driver.said)
        driver.start(self.skeleton(), f"r{epoch}")
        self.look()
        self.plan = self.plan._replace(lock_epoch=epoch + 1)
        while driver.director.runs(PLAN):
            if self.pick(*range(40)) == 0:
                self.executor_dies()
                break
            getattr(self, self.pick(*self.possible()))()
            self.look()
        return driver.said[first:]

    def possible(self):
        found = ["send"] * 3 if self.driver.ready else []
        found += ["end"] * 3 if self.sent else []
        if self.finalizing is not None:
            found.append("end_finalize" if self.finalize_sent else "send_finalize")
        if self.driver.reminders:
            found.append("remind")
        if self.suspended():
            found.append("event")
        if not self.halted and self.pick(*range(40)) == 0:
            found = ["halt"]
        assert found, f"nothing can happen any more: {self.driver.stored}"
        return found

    def suspended(self):
        stored, ready = self.driver.stored, self.driver.ready
        return [step for step in self.steps if stored[step] is S.SUSPENDED and step not in ready]

    def send(self):
        step = self.pick(*sorted(self.driver.ready))
        state = self.driver.stored[step]
        assert step not in self.sent
        assert state in (S.PENDING, S.SUSPENDED, S.SKIPPING)
        assert all(self.driver.stored[one] in (S.SUCCESS, S.SKIPPED) for one in self.before[step])
        self.driver.send(step)
        self.sent[step] = state
        self.calls[step] += state is S.PENDING

    def end(self):
        step = self.pick(*sorted(self.sent))
        begun_from = self.sent.pop(step)
        driver, attempt = self.driver, self.driver.attempts[step]
        how = self.pick("well", "well", "fails", "fails retryably", "lost", "returned", "suspends")
        if how == "returned":
            self.calls[step] -= begun_from is S.PENDING
            driver.tell(StepsReturned(PLAN, [step]))
            if step not in self.stopped and not self.halted:
                driver.ready.append(step)
        elif how == "lost":
            cause = "halted" if self.halted else "deadline" if step in self.stopped else "signal(9)"
            driver.tell(StepLost(PLAN, step, 0, cause, "killed"))
        elif begun_from is S.SKIPPING:
            outcome = skipped(step) if how in ("well", "suspends") else failure(step)
            driver.tell(StepFinished(PLAN, attempt, outcome))
        else:
            outcome = {"well": success, "suspends": suspended}.get(how, failure)(step)
            driver.tell(StepFinished(PLAN, attempt, outcome._replace(retryable=how == "fails retryably")))

    def send_finalize(self):
        self.driver.send(FINALIZE)
        self.finalize_sent = True

    def end_finalize(self):
        parts, self.finalizing, self.finalize_sent = self.finalizing, None, False
        how = self.pick("well", "well", "fails", "lost")
        if how == "lost":
            self.driver.tell(StepLost(PLAN, FINALIZE, self.pick(0, 1), "signal(9)", "killed"))
        elif how == "well":
            self.driver.tell(FinalizeFinished(PLAN, tuple(success(step) for step in parts)))
        else:
            self.driver.tell(FinalizeFinished(PLAN, (failure(parts[0]),)))

    def remind(self):
        self.driver.remind()

    def event(self):
        step = self.pick(*self.suspended())
        self.driver.tell(EventArrived(PLAN, step, None, f"e{self.driver.now}", b"e"))

    def halt(self):
        self.halted = True
        self.driver.tell(HaltRequested(PLAN, "client", "halt"))
        self.driver.ready, self.finalizing = [], self.finalizing if self.finalize_sent else None

    def executor_dies(self):
        skeleton = self.skeleton(state=PlanState.RUNNING, owner_id=WORLD)
        said = settle(skeleton, Asker("client", "r"), self.driver.now, self.conduct)
        self.take(said)
        handed_over = any(isinstance(one, HandOver) for one in said)
        assert handed_over == (S.ERROR not in self.driver.stored.values())

    # -- between attempts --------------------------------------------------------------------------

    def people_decide(self):
        """Skip some of the failed steps, which is all that can be skipped; then the plan is resumed."""
        self.plan = self.plan._replace(deadline_at=None)
        for step in self.steps:
            state = self.driver.stored[step]
            if state is S.ERROR and self.pick(True, False):
                amendment = skip(self.skeleton(), step, WORLD, self.driver.now)
                self.take(amendment.writes)
                assert step in amendment.step_ids
                self.plan = self.plan._replace(lock_epoch=self.plan.lock_epoch + 1)
            elif state in (S.PENDING, S.SUCCESS, S.SUSPENDED):
                with pytest.raises(NotSkippable):
                    skip(self.skeleton(), step, WORLD, self.driver.now)


@settings(max_examples=150, deadline=None)
@given(shapes, st.booleans(), st.booleans(), st.data())
def test_each_attempt_ends_with_a_cause_whatever_happens(flow, auto_rescue, has_deadline, data):
    ids = list(step_ids(flow))
    kinds = {step: data.draw(st.sampled_from(sorted(KINDS))) for step in [*ids, *FINALIZING]}
    before = predecessors(flow)
    dependencies = {
        step: tuple(data.draw(st.lists(st.sampled_from(sorted(before[step])), max_size=2, unique=True)))
        for step in ids
        if before[step]
    }
    world = World(flow, kinds, dependencies, Conduct(auto_rescue), data)
    world.plan = world.plan._replace(deadline_at=10**9 if has_deadline else None)

    for _ in range(4):
        (save,) = only(SavePlan, world.attempt())
        states = set(world.driver.stored.values())
        assert S.RUNNING not in states
        if world.halted:
            assert world.driver.answers("halt") in ([Done()], [])
            assert save.state is PlanState.STOPPED or save.history[-1].name == "terminate execution"
            break
        if save.state is PlanState.STOPPED:
            assert states <= {S.SUCCESS, S.SKIPPED} or save.result is Result.ERROR
            break
        assert save.keep_requested or S.ERROR in states  # handed on, or paused for a cause
        world.people_decide()
    for step, calls in world.calls.items():
        assert calls <= 1 + world.reasons[step], f"step {step} was begun {calls} times"


def test_what_must_come_before():
    flow = Sequence([1, Concurrence([2, Sequence([3, 4])]), 5])

    assert predecessors(flow) == {
        1: frozenset(),
        2: {1},
        3: {1},
        4: {1, 3},
        5: {1, 2, 3, 4},
    }
