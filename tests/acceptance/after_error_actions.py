"""Actions that fail in ways that something is done about by itself. Files stand for the world outside."""

import os
import signal
import time
from pathlib import Path

from engine_actions import note, wait_for

from dynflow_mp import Action, Fail, Retry, Skip


def attempts_in(path):
    return len(Path(path).read_text().splitlines())


class Flaky(Action):
    """Fails until it has been called so often."""

    retry = Retry(max_attempts=4, backoff_s=0.05, jitter=0)

    def run(self):
        note(self.input["log"], f"{time.time()}")
        if attempts_in(self.input["log"]) < self.input["works_at"]:
            raise ConnectionError("the service is away")
        self.output["attempts"] = attempts_in(self.input["log"])


class FlakyForLong(Flaky):
    retry = Retry(max_attempts=3, backoff_s=2, factor=1, jitter=0)


class Picky(Action):
    retry = Retry(max_attempts=5, backoff_s=0, on=(OSError,), not_on=(FileNotFoundError,))

    def run(self):
        note(self.input["log"], "call")
        raise {"os": OSError, "missing": FileNotFoundError, "value": ValueError}[self.input["kind"]]("no")


class Skippable(Action):
    rescue_strategy = Skip

    def run(self, event=None):
        if event is Skip:
            self.output["message"] = "Been here"
        elif event is None:
            raise RuntimeError("skip me")


class SilentSkippable(Action):
    rescue_strategy = Skip

    def run(self):
        raise RuntimeError("skip me")


class UnwillingSkippable(Action):
    rescue_strategy = Skip

    def run(self, event=None):
        if "log" in self.input:
            note(self.input["log"], f"{event}")
        raise RuntimeError("not even that" if event is Skip else "skip me")


class SleepySkippable(Action):
    rescue_strategy = Skip

    def run(self, event=None):
        if event is Skip:
            self.suspend()
        raise RuntimeError("skip me")


class SkippableFinalize(Action):
    rescue_strategy = Skip

    def run(self):
        self.output["message"] = "Been here"

    def finalize(self):
        raise RuntimeError("skip me")


class Failing(Action):
    rescue_strategy = Fail

    def run(self):
        raise RuntimeError("end it")


class Pausing(Action):
    def run(self):
        raise RuntimeError("look at me")


class Opinionless(Action):
    rescue_strategy = None

    def run(self):
        raise RuntimeError("whatever")


class Uses(Action):
    """Needs the output of others."""

    def run(self):
        self.output["used"] = self.input["values"]

    def finalize(self):
        self.output["finalized"] = True


class TwoWithOneUser(Action):
    """Two that fail, one that needs both, and one that needs that one."""

    def plan(self, kind):
        classes = {"pause": Pausing, "skip": Skippable}
        first = self.plan_action(classes[kind])
        second = self.plan_action(classes[kind])
        uses = self.plan_action(Uses, values=[first.output["a"], second.output["b"]])
        self.plan_action(Uses, values=uses.output["used"])


class Together(Action):
    def plan(self, names):
        for name in names:
            self.plan_action(globals()[name])


class InARow(Action):
    def plan(self, names):
        with self.sequence():
            for name in names:
                self.plan_action(globals()[name])


class Dies(Action):
    """Kills its worker until it has been called so often."""

    def run(self):
        note(self.input["log"], f"{os.getpid()}")
        if attempts_in(self.input["log"]) < self.input.get("works_at", 1000):
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(30)


class DiesIdempotently(Dies):
    idempotent = True


class HeldIdempotently(Action):
    idempotent = True

    def run(self):
        note(self.input["log"], f"begun {os.getpid()}")
        wait_for(self.input["until"])


class HeldSkippable(Action):
    rescue_strategy = Skip

    def run(self):
        note(self.input["log"], f"begun {os.getpid()}")
        wait_for(self.input["until"])


class WithDeadline(Action):
    """Waits for an event, and has half a second for all of it."""

    deadline_s = 0.5

    def run(self, event=None):
        if event is None:
            self.suspend()


class RetriesPastDeadline(Action):
    deadline_s = 0.5
    retry = Retry(max_attempts=10, backoff_s=30, jitter=0)

    def run(self):
        raise ConnectionError("away")


class RetriesForLong(Action):
    retry = Retry(max_attempts=10, backoff_s=30, jitter=0)

    def run(self):
        raise ConnectionError("away")


class WithDeadlineInARow(Action):
    deadline_s = 0.5

    def plan(self, until):
        with self.sequence():
            self.plan_action(WaitsForFile, until=until)
            self.plan_action(WaitsForFile, until=until)


class WaitsForFile(Action):
    def run(self):
        wait_for(self.input["until"])


class Needs(Action):
    def run(self):
        if self.input["text"] != "ok":
            raise ValueError("cannot work with that")
        self.output["text"] = self.input["text"]


class Gives(Action):
    def run(self):
        self.output["other"] = 1


class BrokenReference(Action):
    def plan(self):
        gives = self.plan_action(Gives)
        needs = self.plan_action(Needs, text=gives.output["text"], more=gives.output["other"])
        self.plan_action(Uses, values=needs.output["text"])


class WakesFromRetry(Action):
    """Suspends, and fails once with its event."""

    retry = Retry(max_attempts=2, backoff_s=0)

    def run(self, event=None):
        if event == "fail":
            self.output["failed"] = True
            raise RuntimeError("asked to")
        if event == "finish":
            return
        if not self.output.get("failed"):
            self.suspend()


class DecidesForOthers(Action):
    """Asked about what it planned: skips what is cheap, says nothing about itself."""

    rescue_strategy = None

    def plan(self, prices, then=None):
        for price in prices:
            self.plan_action(Priced, price=price)
        if then is not None:
            self.plan_action(globals()[then])

    def rescue_strategy_for_planned_action(self, action):
        if not isinstance(action, Priced):
            return super().rescue_strategy_for_planned_action(action)
        (step,) = action.steps
        assert (step.phase, step.error.message) == ("run", f"no money for {action.input['price']}")
        return Skip if action.input["price"] < 10 and action.output["seen"] else Fail


class Priced(Action):
    def run(self):
        self.output["seen"] = True
        raise RuntimeError(f"no money for {self.input['price']}")


class DecidesForItself(Action):
    def run(self):
        raise RuntimeError("help")

    def rescue_strategy_for_self(self):
        return self.input["strategy"]


class DecidesSlowly(Action):
    """Its rescue strategy takes until a file is there."""

    def run(self):
        raise RuntimeError("help")

    def rescue_strategy_for_self(self):
        note(self.input["log"], "asked")
        wait_for(self.input["until"])
        return Skip


class TimesOutOnce(Action):
    """Takes too long the first time."""

    run_timeout_s = 0.3
    idempotent = True
    retry = Retry(max_attempts=2, backoff_s=0.05)

    def run(self):
        note(self.input["log"], "call")
        if attempts_in(self.input["log"]) == 1:
            time.sleep(30)


class StuckWithDeadline(Action):
    deadline_s = 0.5
    idempotent = True
    rescue_strategy = Skip

    def run(self):
        note(self.input["log"], "call")
        time.sleep(30)


class StuckFinalizeWithDeadline(Action):
    deadline_s = 0.5

    def run(self):
        pass

    def finalize(self):
        time.sleep(30)


class StuckWhileSkipped(Action):
    rescue_strategy = Skip

    def run(self, event=None):
        if event is Skip:
            note(self.input["log"], "told")
            time.sleep(30)
        raise RuntimeError("skip me")
