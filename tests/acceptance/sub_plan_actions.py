"""Actions that trigger sub-plans. Files stand for the world outside: children fail while one of them is there."""

import os
import time
from pathlib import Path

from engine_actions import note

from dynflow_mp import (
    Abort,
    Action,
    Cancel,
    Cancellable,
    WithBulkSubPlans,
    WithPollingSubPlans,
    WithSubPlans,
)


def fail_if(path):
    if path and Path(path).exists():
        raise RuntimeError(f"{path} is there")


class Child(Action):
    """Notes that it runs; fails in plan or run while a file is there."""

    def plan(self, number=0, **kwargs):
        fail_if(kwargs.get("plan_fails"))
        self.plan_self(number=number, **kwargs)

    def run(self):
        if "log" in self.input:
            note(self.input["log"], f"begin {self.input['number']}")
        fail_if(self.input.get("run_fails"))
        time.sleep(self.input.get("takes_s", 0))
        if "log" in self.input:
            note(self.input["log"], f"end {self.input['number']}")


class Nested(Action):
    """A child whose plan has an action of its own."""

    def plan(self, **kwargs):
        self.plan_action(Child, number=1)
        self.plan_self()


class Waiter(Cancellable):
    """Waits for an event; says how it was ended."""

    def run(self, event=None):
        if event is Cancel or event is Abort:
            super().run(event)
        elif event is None:
            self.suspend()

    def cancel(self):
        self.output["cancelled"] = True

    def abort(self):
        self.output["aborted"] = True


KINDS = {kind.__name__: kind for kind in (Child, Nested, Waiter)}


class Parent(WithSubPlans):
    """``count`` children of a kind."""

    def plan(self, count, kind="Child", level=None, window=None, **kwargs):
        if level is not None:
            self.limit_concurrency_level(level)
        if window is not None:
            self.distribute_over_time(*window)
        self.plan_self(count=count, kind=kind, given=kwargs)

    def create_sub_plans(self):
        kind, given = KINDS[self.input["kind"]], self.input["given"]
        return [self.trigger(kind, number=number, **given) for number in range(self.input["count"])]

    def on_finish(self):
        self.output["finished"] = True


class PollingParent(WithPollingSubPlans, Parent):
    """The same, looking by itself now and then."""

    polling_interval = 0.2


class Grandparent(WithSubPlans):
    """``count`` parents of as many children each."""

    def create_sub_plans(self):
        for _ in range(self.input["count"]):
            self.trigger(Parent, self.input["count"], **self.input["given"])

    def plan(self, count, **kwargs):
        self.plan_self(count=count, given=kwargs)


class BulkParent(WithBulkSubPlans):
    """``count`` children in batches of ``size``."""

    def plan(self, count, size=5, level=None, **kwargs):
        if level is not None:
            self.limit_concurrency_level(level)
        self.plan_self(count=count, size=size, given=kwargs)

    @property
    def batch_size(self):
        return self.input["size"]

    def total_count(self):
        return self.input["count"]

    def batch(self, start, size):
        return range(start, min(start + size, self.input["count"]))

    def create_sub_plans(self):
        self.output["batches"] = self.output.get("batches", 0) + 1
        return (self.trigger(Child, number=number, **self.input["given"]) for number in self.current_batch)

    def on_planning_finished(self):
        self.output["planning_finished"] = self.output.get("planning_finished", 0) + 1


class FireAndForget(Action):
    """Triggers and does not wait; fails afterwards while a file is there."""

    def run(self):
        made = [self.trigger(Child, number=number, **self.input["given"]) for number in range(2)]
        self.output["ids"] = [sub_plan.id for sub_plan in made]
        self.output["failed"] = [sub_plan.failed for sub_plan in made]
        fail_if(self.input.get("then_fails"))


class TriggersThenDies(Action):
    """Its worker dies after it has triggered, the first time."""

    def run(self):
        self.trigger(Child, number=1, log=self.input["log"])
        if not Path(self.input["once"]).exists():
            Path(self.input["once"]).touch()
            os._exit(1)


class TriggersInPlan(Action):
    def plan(self):
        self.trigger(Child)


class TriggersNonsense(Action):
    def run(self):
        self.trigger(str)
