"""Actions whose effects are written down outside of the database."""

import time
from contextlib import contextmanager

from chaos import effects
from dynflow_mp import (
    Action,
    Polling,
    Retry,
    WithSubPlans,
    hook,
)
from dynflow_mp.actions.unwinding import Suspended
from dynflow_mp.failpoints import failpoint

FINALIZED = "in_finalize"


@contextmanager
def watched(action, place=None):
    """Write down that a call begins and how it ends; ``place`` is the failpoint in the middle of it."""
    job = action._context._job  # the one thing an action is not told: which attempt this is
    plan, step, attempt = action.execution_plan_id, job.step_id, job.attempt
    with effects.alone(plan, step) as alone:
        if not alone:
            effects.write(plan, step, attempt, "overlap")
        effects.write(plan, step, attempt, "start")
        try:
            if place == "in_run":
                failpoint("in_run")
            elif place == FINALIZED:
                failpoint("in_finalize")
            yield
        except Suspended:
            effects.write(plan, step, attempt, "end", "suspended")
            raise
        except BaseException:
            effects.write(plan, step, attempt, "end", "failed")
            raise
        effects.write(plan, step, attempt, "end", "done")


class Worked(Action):
    """Takes a moment."""

    def run(self):
        with watched(self, "in_run"):
            time.sleep(self.input.get("seconds", 0))
            self.output["number"] = self.input["number"]


class WorkedAgain(Worked):
    """May be run again by itself."""

    idempotent = True


class Pair(Action):
    """Two steps, one after the other, and a finalize phase: all moments there are come once at least."""

    def plan(self, idempotent=False):
        kind = WorkedAgain if idempotent else Worked
        with self.sequence():
            first = self.plan_action(kind, number=1)
            self.plan_action(kind, number=2, given=first.output["number"])
        self.plan_self()

    def finalize(self):
        with watched(self, FINALIZED):
            pass


class Moved(Action):
    """An entry in an account: what a plan takes from one it brings to another."""

    idempotent = True

    def run(self):
        with watched(self):
            job = self._context._job
            entry = f"{self.input['account']} {self.input['amount']}"
            effects.write(self.execution_plan_id, job.step_id, job.attempt, "entry", entry)


class Transfer(Action):
    """Takes from one account, then brings to another."""

    def plan(self, amount):
        with self.sequence():
            self.plan_action(Moved, account="rent", amount=-amount)
            self.plan_action(Moved, account="savings", amount=amount)


class Wide(Action):
    """Branches that run side by side, and what comes after all of them."""

    def plan(self, branches, seconds):
        with self.sequence():
            with self.concurrence():
                for number in range(branches):
                    with self.sequence():
                        self.plan_action(Worked, number=number, seconds=seconds)
                        self.plan_action(WorkedAgain, number=number, seconds=seconds)
            self.plan_action(Worked, number=branches)


class Flaky(Action):
    """Fails at its first attempt, and is tried again by itself."""

    retry = Retry(max_attempts=8, backoff_s=0.05, jitter=0)

    def run(self):
        with watched(self):
            if self._context._job.attempt == 1:
                raise ConnectionError("not yet")


class Waits(Action):
    """Is suspended until an event comes that its client sends."""

    def run(self, event=None):
        with watched(self):
            if event is None:
                self.suspend()
            self.output["event"] = event


class Alarmed(Action):
    """Is suspended until an event comes that it planned itself."""

    def run(self, event=None):
        with watched(self):
            if event is None:
                self.plan_event("now", delay_s=0.1)
                self.suspend()


class Polled(Polling):
    """Looks three times."""

    poll_intervals = (0.05,)

    def run(self, event=None):
        with watched(self):
            super().run(event)

    def invoke_external_task(self):
        return {"looks": 0}

    def poll_external_task(self):
        return {"looks": self.external_task["looks"] + 1}

    def done(self):
        return self.external_task["looks"] >= 3


class Parent(WithSubPlans):
    """Waits for its sub-plans."""

    def create_sub_plans(self):
        return [self.trigger(Worked, number=number, seconds=0.01) for number in range(self.input["count"])]


class Hooked(Action):
    """Is told of its plan's end, at least once."""

    def run(self):
        with watched(self):
            pass

    @hook("stopped")
    def told(self, plan):
        effects.append(effects.directory() / "told", plan.id)


class Finalized(Action):
    """Several finalize steps, run as one job."""

    def plan(self, count):
        for number in range(count):
            self.plan_action(FinalizedPart, number=number)


class FinalizedPart(Action):
    def run(self):
        with watched(self):
            pass

    def finalize(self):
        with watched(self):
            pass
