"""Actions for worlds that end while they run."""

import os
import time
from pathlib import Path

from engine_actions import note

from dynflow_mp import Action


class Tidies(Action):
    """Runs without an end; puts things in order when it is told to."""

    def run(self):
        note(self.input["log"], f"begun {os.getpid()}")
        try:
            self.go_on()
        finally:
            note(self.input["log"], "tidied")

    def go_on(self):
        while True:
            time.sleep(0.01)


class TidiesIdempotently(Tidies):
    """May be begun again; the second time it comes to an end."""

    idempotent = True

    def go_on(self):
        with open(self.input["log"]) as log:
            if log.read().count("begun") == 1:
                super().go_on()


class Deaf(Tidies):
    """Does not let itself be told."""

    def go_on(self):
        while True:
            try:
                super().go_on()
            except BaseException:
                continue


class LeavesOrphans(Action):
    """Starts processes that outlive their parents: their own, this worker, or both; and lets them end."""

    def run(self):
        for _ in range(self.input["count"]):
            child = os.fork()
            if child == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(0.2)
                os._exit(7)
            os.waitpid(child, 0)
        self.output["init"] = Path("/proc/1/cmdline").read_text()
        self.output["home"] = os.environ.get("HOME")
        self.output["told"] = sorted(name for name in os.environ if name.startswith(("NOTIFY_", "WATCHDOG_")))


class Counted(Action):
    """Many of them side by side: each says that it ran, and takes a moment."""

    def plan(self, count, log):
        for number in range(count):
            self.plan_action(CountedStep, number=number, log=log)


class CountedStep(Action):
    def run(self):
        time.sleep(0.02)
        note(self.input["log"], str(self.input["number"]))
