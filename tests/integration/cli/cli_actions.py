"""Actions that the program is tried with."""

from pathlib import Path

from dynflow_mp import Action, Cancellable

HOSTILE = "\x1b[2Jgone\nand \u202eback"


class Quick(Action):
    def run(self):
        self.output["said"] = self.input.get("say")


class NeedsFile(Action):
    """Fails until a file is there."""

    def run(self):
        if not Path(self.input["path"]).exists():
            raise FileNotFoundError(f"{self.input['path']} is not there yet")
        self.output["found"] = True


class Two(Action):
    """One step that fails and one that needs it."""

    def plan(self, path):
        with self.sequence():
            first = self.plan_action(NeedsFile, path=path)
            self.plan_action(Quick, say=first.output["found"])


class Many(Action):
    def plan(self, count):
        for number in range(count):
            self.plan_action(Quick, say=number)


class Evented(Action):
    """Waits until it hears 'finish'."""

    def run(self, event=None):
        if event != "finish":
            self.suspend()
        self.output["heard"] = event


class Stoppable(Cancellable, Action):
    def run(self, event=None):
        if event is None:
            self.suspend()
        self.output["heard"] = str(event)


class Secretive(Action):
    """Hides what only its class knows to be secret."""

    sensitive = ("card.number",)

    def run(self):
        self.output["access_token"] = "token-canary-12"
        raise RuntimeError(f"no route for {self.input['card']['number']}")


class Hostile(Action):
    """Says what would rearrange a terminal."""

    def run(self):
        self.output["said"] = HOSTILE
        raise RuntimeError(HOSTILE)


class FailsToPlan(Action):
    def plan(self):
        raise ValueError("not today")
