"""Actions for plans that a console looks at."""

from __future__ import annotations

from dynflow_mp import Action, Cancellable


class Greets(Action):
    """Does what it is for."""

    def run(self):
        self.output["greeting"] = f"hello {self.input.get('name', 'world')}"


class FailsUnlessTold(Action):
    """Fails until its input says it may pass."""

    def run(self):
        if not self.input.get("may_pass"):
            raise ValueError(f"it may not pass yet: {self.input.get('why', 'no reason')}")
        self.output["passed"] = True


class Chatters(Action):
    """Writes three pieces beside its output."""

    def run(self):
        for number in (1, 2, 3):
            self.output_chunk(f"piece {number}")


class WaitsOnceTold(Action):
    """Fails until its input says it may wait; then sleeps until an event comes."""

    def run(self, event=None):
        if not self.input.get("may_wait"):
            raise ValueError("it may not wait yet")
        if event is None:
            self.suspend()


class WaitsForWord(Action):
    """Sleeps until an event comes, which becomes its output."""

    def run(self, event=None):
        if event is None:
            self.suspend()
        self.output["word"] = event


class Sleeps(Action, abstract=True):
    """Waits for ever."""

    def run(self, event=None):
        self.suspend()


class WaitsUntilCancelled(Cancellable, Sleeps):
    """Sleeps until it is cancelled."""

    def cancel(self):
        self.output["cancelled"] = True


class KeepsSecrets(Action):
    """What nobody shall see is in its input, its output, its error and what it writes meanwhile."""

    sensitive = ("card.number",)

    def run(self):
        self.output["access_token"] = self.input["password"]
        self.output_chunk(f"logged in with {self.input['password']}", kind="log")
        raise RuntimeError(
            f"{self.input['password']} of card {self.input['card']['number']} at "
            f"postgresql://app:{self.input['password']}@db/plans"
        )
