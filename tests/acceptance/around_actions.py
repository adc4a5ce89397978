"""Actions with something around them, for workers to import."""

import os
import time
from pathlib import Path

from dynflow_mp import Action, Middleware, OnConflict, Singleton, WithSubPlans, hook


def note(action, text):
    """Append a line to the file the action was given."""
    with Path(action.input["log"]).open("a") as file:
        file.write(f"{text}\n")


class Audit(Middleware):
    """Around everything in the world that asks for it; the actions know nothing of it."""

    def plan(self, *args, **kwargs):
        self.pass_on(*args, **{**kwargs, "user": "ann"})

    def run(self, *args):
        if "log" in self.action.input:
            note(self.action, f"run for {self.action.input.get('user')}")
        self.pass_on(*args)

    def finalize_phase(self):
        self.pass_on()


class Hides(Middleware):
    def present(self):
        self.action.input["secret"] = "***"
        self.pass_on()


class Logged(Action):
    def run(self):
        note(self, "run")

    def finalize(self):
        note(self, "finalize")


class Secretive(Logged):
    middleware = (Hides,)


class Refuses(Middleware):
    def finalize_phase(self):
        self.pass_on()
        raise RuntimeError("the books do not balance")


class Unbalanced(Logged):
    middleware = (Refuses,)


class Nightly(Singleton):
    """Nothing to run: planning it takes its lock."""


class Guarded(Singleton):
    def run(self, event=None):
        if self.input.get("wait") and event is None:
            self.suspend()
        if self.input.get("fail"):
            raise RuntimeError("no luck")


class Ordinary(Action):
    def run(self):
        self.output["done"] = True


class Order(Action):
    unique_key = "order-{number}"

    def run(self, event=None):
        if self.input.get("wait") and event is None:
            self.suspend()


class Import(Order):
    unique_mode = "return"

    def unique_key(self):
        return f"import-{self.input['number']}"


class Report(Order):
    unique_key = "report-{number}"
    unique_mode = OnConflict.REPLACE


class Chatty(Action):
    """Writes a chunk with each run, and drops them in the end (B381)."""

    def run(self, event=None):
        if event == "exit":
            return
        self.output_chunk(self.output.setdefault("runs", 0) + 1)
        self.output["runs"] += 1
        self.suspend()

    def finalize(self):
        if self.input.get("drop", True):
            self.drop_output_chunks()


class Streams(Action):
    """Writes chunks and then runs until its file is there."""

    def run(self):
        for number in range(self.input["count"]):
            self.output_chunk({"line": number}, kind="stdout")
        while not Path(self.input["until"]).exists():
            time.sleep(0.01)
        self.output_chunk("done", kind="stderr")


class TooLarge(Action):
    def run(self):
        self.output_chunk("x" * 5_000_000)


class Watched(Action):
    """Notes every state of its plan."""

    def plan(self, **values):
        if values.get("cannot"):
            raise ValueError("cannot be planned")
        self.plan_self(**values)

    def run(self):
        if self.input.get("fail") and not Path(self.input["fail"]).exists():
            raise RuntimeError("no luck")

    @hook
    def note_state(self, plan):
        note(self, f"{plan.state} {plan.result}")

    @hook("success", "failure")
    def note_end(self, plan):
        note(self, f"end {plan.result}")


class Silenced(Watched):
    def note_state(self, plan):
        note(self, "never")


class Raises(Watched):
    @hook("stopped")
    def another(self, plan):
        raise SystemExit("a bad hook")


class Kills(Action):
    """A hook that takes its worker with it; others are called all the same."""

    def run(self):
        pass

    @hook("running")
    def die(self, plan):
        os.kill(os.getpid(), 9)

    @hook("stopped")
    def after(self, plan):
        note(self, "after")


class Family(Action):
    """A root with two of its own kind below it (B255)."""

    def plan(self, children=2, **values):
        self.plan_self(**values)
        for _ in range(children):
            self.plan_action(Family, children=0, **values)

    def run(self):
        pass

    @hook("success")
    def count(self, plan):
        if self.is_root:
            note(self, f"root {self.output or 'has no output'}")
        else:
            note(self, "child")


class AroundHooks(Middleware):
    def hook(self, plan):
        note(self.action, f"before {plan.state}")
        self.pass_on(plan)
        note(self.action, "after")


class Wrapped(Action):
    middleware = (AroundHooks,)

    def run(self):
        pass

    @hook("stopped")
    def tell(self, plan):
        note(self, "told")


class Stuck(Singleton):
    """Runs until its file is there."""

    def run(self):
        note(self, "begun")
        while not Path(self.input["until"]).exists():
            time.sleep(0.01)


class Fans(WithSubPlans):
    """Two sub-plans of classes that there may be one of at a time, two that have the same key."""

    def create_sub_plans(self):
        for number in range(2):
            self.trigger(Waiting, until=self.input["until"])
            self.trigger(Keyed, until=self.input["until"], number=number)


class Waiting(Singleton):
    def run(self):
        while not Path(self.input["until"]).exists():
            time.sleep(0.01)

    @hook("success", "failure")
    def tell(self, plan):
        with Path(self.input["until"] + ".log").open("a") as file:
            file.write(f"{plan.result}\n")


class Keyed(Action):
    unique_key = "the only one"

    def run(self):
        while not Path(self.input["until"]).exists():
            time.sleep(0.01)


class HookHeld(Action):
    """Its hook takes until a file is there."""

    def run(self):
        pass

    @hook("success")
    def told(self, plan):
        note(self, "begun")
        while not Path(self.input["until"]).exists():
            time.sleep(0.01)
        note(self, "done")
