"""Actions that acceptance tests run on real workers. Files stand for the world outside."""

import os
import signal
import sys
import time
from pathlib import Path

from dynflow_mp import Action


def note(path, text):
    """Append a line for others to read: one write, so that lines of several workers do not mix."""
    with open(path, "a") as file:
        file.write(text + "\n")


def wait_for(path, seconds=30):
    """Wait until a file is there, like a service that comes up; give up loudly."""
    deadline = time.monotonic() + seconds
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not come")
        time.sleep(0.005)


class Noop(Action):
    def run(self):
        pass


class Echo(Action):
    def run(self):
        self.output.update(self.input)


class Add(Action):
    """Chains: the output of one is the input of the next."""

    def run(self):
        self.output["sum"] = self.input["base"] + self.input.get("more", 1)


class Chain(Action):
    def plan(self, length):
        with self.sequence():
            last = self.plan_action(Add, base=0)
            for _ in range(length - 1):
                last = self.plan_action(Add, base=last.output["sum"])
        self.plan_self(total=last.output["sum"])

    def run(self):
        self.output["total"] = self.input["total"]


class FanOut(Action):
    def plan(self, count, **kwargs):
        for number in range(count):
            self.plan_action(Echo, number=number, **kwargs)


class Gather(Action):
    """Many producers, one consumer, and a finalize that sees what run left."""

    def plan(self, count):
        echoes = [self.plan_action(Echo, number=number) for number in range(count)]
        self.plan_self(numbers=[echo.output["number"] for echo in echoes])

    def run(self):
        self.output["sum"] = sum(self.input["numbers"])

    def finalize(self):
        self.output["doubled"] = self.output["sum"] * 2


class NeedsFile(Action):
    """Fails until a file is there."""

    def run(self):
        if "log" in self.input:
            note(self.input["log"], f"needs {self.input.get('name', '')}")
        if not Path(self.input["path"]).exists():
            raise FileNotFoundError(f"{self.input['path']} is not there yet")


class FinalizeNeedsFile(Action):
    def run(self):
        note(self.input["log"], f"run {self.input['name']}")

    def finalize(self):
        note(self.input["log"], f"finalize {self.input['name']}")
        if not Path(self.input["path"]).exists():
            raise FileNotFoundError(f"{self.input['path']} is not there yet")


class Ordered(Action):
    def plan(self, actions):
        """``actions``: (class name here, input) in sequence."""
        with self.sequence():
            for name, values in actions:
                self.plan_action(globals()[name], **values)


class SideBySide(Action):
    def plan(self, branches):
        """``branches``: lists of (class name here, input); each list a sequence."""
        for branch in branches:
            with self.sequence():
                for name, values in branch:
                    self.plan_action(globals()[name], **values)


class Held(Action):
    """Says that it runs, then waits for a file."""

    def run(self):
        note(self.input["log"], f"begun {os.getpid()}")
        wait_for(self.input["until"])
        note(self.input["log"], f"done {os.getpid()}")
        self.output["pid"] = os.getpid()


class KillsItself(Action):
    """Dies by a signal unless a file says the cause is gone."""

    def run(self):
        if not Path(self.input["cured"]).exists():
            os.kill(os.getpid(), getattr(signal, self.input.get("signal", "SIGKILL")))
            time.sleep(30)


class Crashes(KillsItself):
    """A class of its own: what one class has cost so far decides how it travels."""


class KillsItselfInFinalize(Action):
    def run(self):
        pass

    def finalize(self):
        if not Path(self.input["cured"]).exists():
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(30)


class Exits(Action):
    def run(self):
        how = self.input["how"]
        if how == "sys.exit":
            sys.exit(3)
        if how == "os._exit":
            os._exit(3)
        os.abort()


class Unstorable(Action):
    def run(self):
        self.output["users"] = [{"ok": 1}, {"bad": object()}]


class Printer(Action):
    def run(self):
        for _ in range(self.input["lines"]):
            print("x" * 1000)


class Evented(Action):
    """Suspends, and records every event until it hears 'finish'."""

    def run(self, event=None):
        if event is None:
            self.output.setdefault("heard", [])
            self.output["calls"] = self.output.get("calls", 0) + 1
            if self.output["heard"][-1:] != ["finish"]:
                self.suspend()
        self.output["heard"] = [*self.output["heard"], event]
        if event == "fail":
            raise RuntimeError("asked to fail")
        if event != "finish":
            self.suspend()


class WakesItself(Action):
    def run(self, event=None):
        if event is None:
            self.plan_event("later", delay_s=self.input.get("delay_s"))
            self.suspend()
        self.output["woken_by"] = event


class Slow(Action):
    def run(self):
        time.sleep(self.input["seconds"])


class InQueue(Action):
    queue = "slow"

    def run(self):
        self.output["pid"] = os.getpid()


class FailsToPlan(Action):
    def plan(self):
        raise ValueError("not today")


class WhereAmI(Action):
    def run(self):
        self.output["pid"] = os.getpid()
        self.output["modules"] = sorted(sys.modules)
        self.output["cwd"] = os.getcwd()
        self.output["environment"] = sorted(os.environ)


class SpawnsChild(Action):
    """Leaves a child process behind."""

    def run(self):
        import subprocess

        child = subprocess.Popen(["sleep", "1000"])
        note(self.input["log"], f"child {child.pid}")
        if self.input.get("wait", True):
            child.wait()


class UsesMissingKey(Action):
    def plan(self):
        echo = self.plan_action(Echo, something=1)
        self.plan_action(Echo, text=echo.output["nothing"])
