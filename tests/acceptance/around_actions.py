"""Actions with something around them, for workers to import."""

import time
from pathlib import Path

from dynflow_mp import Action, Middleware, OnConflict, Singleton


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
