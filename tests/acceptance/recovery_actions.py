"""Actions whose effects can be counted, for tests in which supervisors are killed."""

import time

from engine_actions import Evented, Held, Noop, note

from dynflow_mp import Action

__all__ = ["Collects", "Counted", "Evented", "Held", "HeldThenNoop", "Noop", "SeveralCounted"]


class Counted(Action):
    """Leaves one line for each time it was begun, and one when it has come to its end."""

    def run(self):
        name = f"{self.input['plan']}/{self.input['number']}"
        note(self.input["log"], f"begun {name}")
        time.sleep(self.input["seconds"])
        note(self.input["log"], f"done {name}")


class SeveralCounted(Action):
    def plan(self, count, **kwargs):
        with self.sequence():
            for number in range(count):
                self.plan_action(Counted, number=number, **kwargs)


class HeldThenNoop(Action):
    def plan(self, log, until):
        with self.sequence():
            self.plan_action(Held, log=log, until=until)
            self.plan_action(Noop)


class Collects(Action):
    """Leaves one line for each event it is called with; ends with the one that says ``finish``."""

    def run(self, event=None):
        if event is not None:
            note(self.input["log"], str(event))
        if event != "finish":
            self.suspend()
