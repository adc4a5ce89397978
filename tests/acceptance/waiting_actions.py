"""Actions that wait, are cancelled, halted, or take more than they may."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from engine_actions import note

from dynflow_mp import Action, Cancel, Cancellable, Polling, Timeouts


class Upload(Cancellable, Polling):
    """Follows a task that is a file with a number in it; at 100 it is done."""

    poll_intervals = (0.02,)

    def invoke_external_task(self):
        note(self.input["log"], "invoked")
        if self.input.get("unreachable"):
            raise ConnectionError("nobody there")
        return {"progress": 0, "cancelled": False}

    def poll_external_task(self):
        note(self.input["log"], "polled")
        progress = int(Path(self.input["file"]).read_text())
        if progress < 0:
            self.error("the task is lost")
        if progress == 30 and self.input.get("cancels_itself"):
            self.plan_event(Cancel)
        return {**self.external_task, "progress": progress}

    def done(self):
        return self.external_task["progress"] >= 100 or self.external_task["cancelled"]

    def on_finish(self):
        note(self.input["log"], "finished")

    def cancel(self):
        if self.input.get("refuses"):
            self.error("action cancelled")
        self.external_task = {**self.external_task, "cancelled": True}

    def abort(self):
        self.output["aborted"] = True


class CancelsWithoutKnowingHow(Cancellable, Polling):
    def invoke_external_task(self):
        return {"progress": 0}

    def done(self):
        return False


class TimesOut(Polling):
    poll_intervals = (0.02,)

    def invoke_external_task(self):
        self.schedule_timeout(0.2)
        return {"done": False}

    def poll_external_task(self):
        return {"done": False}

    def done(self):
        return False


class EndsBeforeItsTimeout(Timeouts):
    def run(self, event=None):
        if event is None:
            self.schedule_timeout(3600)
            self.plan_event("go on")
            self.suspend()


class Listens(Action):
    """Waits for one event."""

    def run(self, event=None):
        if event is None:
            self.suspend()
        self.output["heard"] = event


class Tells(Action):
    def run(self):
        target = {"execution_plan_id": self.input["plan"]} if "plan" in self.input else {}
        for step_id in self.input["steps"]:
            self.plan_event("hello", optional=self.input.get("optional", False), step_id=step_id, **target)


class Conversation(Action):
    """A step that another step of the same plan wakes."""

    def plan(self, optional=False):
        with self.concurrence():
            listener = self.plan_action(Listens)
            self.plan_action(Tells, steps=[listener.run_step_id, 4711], optional=optional)


class Busy(Action):
    """Does something without an end, in one of many ways; says its pid first."""

    def run(self):
        note(self.input["log"], f"begun {os.getpid()}")
        HOW_TO_BE_BUSY[self.input["how"]]()
        note(self.input["log"], "came to an end")


class BusyForAWhile(Busy):
    run_timeout_s = 0.4


class Quick(Action):
    """Within its limit, many times over."""

    run_timeout_s = 30

    def run(self):
        self.output["n"] = self.input["n"] + 1


class Mixed(Action):
    def plan(self, count, log, how):
        for number in range(count):
            self.plan_action(Quick, n=number)
        self.plan_action(BusyForAWhile, log=log, how=how)


class Greedy(Action):
    memory_limit = "160MiB"

    def run(self):
        taken = []
        for _ in range(self.input["mib"]):
            taken.append(os.urandom(1) * 2**20)
            time.sleep(0.001)


class BusyInFinalize(Action):
    def run(self):
        self.output["ran"] = True

    def finalize(self):
        note(self.input["log"], f"begun {os.getpid()}")
        time.sleep(60)


def swallow():
    while True:
        try:
            time.sleep(60)
        except BaseException:
            continue


def hold_the_interpreter():
    """In native code that lets nothing else run and looks at no signal."""
    sum(range(10**13))


def ignore_sigterm():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    swallow()


def deadlock():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def compute():
    while True:
        sum(range(1000))


def wait_for_child():
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"], check=False)


HOW_TO_BE_BUSY = {
    "sleep": lambda: time.sleep(60),
    "compute": compute,
    "swallow": swallow,
    "hold": hold_the_interpreter,
    "ignore": ignore_sigterm,
    "deadlock": deadlock,
    "child": wait_for_child,
}
