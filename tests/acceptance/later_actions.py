"""Actions for plans that start later: files stand for the world outside."""

import os
import signal
import time
from pathlib import Path

from engine_actions import Held, Noop, note, wait_for

from dynflow_mp import Action

__all__ = ["Held", "KillsItsPlanner", "NeverPlanned", "Noop", "PlannedSlowly", "Refuses", "Tells"]


class Tells(Action):
    """Notes in which process it was planned and run."""

    def delay(self, options, /, *args, **kwargs):
        self.input["delayed_in"] = os.getpid()

    def plan(self, log, **kwargs):
        note(log, f"planned {os.getpid()}")
        self.plan_self(log=log, **kwargs)

    def run(self):
        note(self.input["log"], f"run {os.getpid()}")
        self.output["seen"] = self.input


class Refuses(Action):
    def plan(self):
        raise ValueError("not today")


class KillsItsPlanner(Action):
    """Takes its worker along the first ``times`` times."""

    def plan(self, log, times):
        note(log, f"planned {os.getpid()}")
        if len(Path(log).read_text().splitlines()) <= times:
            os.kill(os.getpid(), signal.SIGKILL)
        self.plan_self()

    def run(self):
        pass


class NeverPlanned(Action):
    """Its ``plan`` does not end; with ``deaf`` it does not even let go when it is told to."""

    def plan(self, log, deaf):
        note(log, f"planning {os.getpid()}")
        while True:
            try:
                time.sleep(30)
            except BaseException:
                if not deaf:
                    raise


class PlannedSlowly(Action):
    """Its ``plan`` waits for the file ``go``."""

    def plan(self, log, go):
        note(log, f"planning {os.getpid()}")
        wait_for(go)
        self.plan_self()

    def run(self):
        pass
