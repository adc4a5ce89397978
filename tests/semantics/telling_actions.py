"""Actions that do what their input tells them."""

from dynflow_mp import Action


class Told(Action):
    """Succeeds, unless told to fail in ``run`` or ``finalize``."""

    def run(self):
        if self.input.get("fail") == "run":
            self.error(f"{self.input.get('name')} was told to")
        self.output["name"] = self.input.get("name")

    def finalize(self):
        if self.input.get("fail") == "finalize":
            raise RuntimeError(f"{self.input.get('name')} was told to")
        self.output["finalized"] = True


class InSequence(Action):
    """Tells several, one after the other."""

    def plan(self, inputs):
        with self.sequence():
            for values in inputs:
                self.plan_action(Told, **values)


class SideBySide(Action):
    """Tells several at the same time."""

    def plan(self, inputs):
        for values in inputs:
            self.plan_action(Told, **values)


class Waits(Action):
    """Suspends until it hears ``finish``; notes what it hears. ``fail`` makes it fail."""

    def run(self, event=None):
        if event is not None:
            self.output.setdefault("heard", []).append(event)
        if event == "fail":
            raise RuntimeError("asked to fail")
        if event != "finish":
            self.suspend()


class Tells(Action):
    """Sends an event to a step of another plan."""

    def plan(self, plan_id, step_id, event):
        self.plan_self(plan_id=plan_id, step_id=step_id, event=event)

    def run(self):
        self.plan_event(
            self.input["event"], execution_plan_id=self.input["plan_id"], step_id=self.input["step_id"]
        )


class WakesItself(Action):
    """Asks to be woken, after ``delay_s`` if given."""

    def run(self, event=None):
        if event is None:
            self.plan_event("pinged", delay_s=self.input.get("delay_s"))
            self.suspend()
        self.output["status"] = event


class Polls(Action):
    """Comes back every second until ``until`` times; with ``fail_at`` fails once there."""

    def run(self, event=None):
        self.output["polls"] = self.output.get("polls", 0) + 1
        if self.output["polls"] == self.input.get("fail_at"):
            raise ConnectionError("the service is down")
        if self.output["polls"] < self.input["until"]:
            self.plan_event("poll", delay_s=1)
            self.suspend()

    def run_progress(self):
        return self.output["polls"] / self.input["until"]


class Calls(Action):
    """Calls ``Calls.what`` with itself: what a test wants to look at while a step runs."""

    what = None

    def run(self):
        type(self).what(self)


class NeedsMissing(Action):
    """Refers to an output that will not be there."""

    def plan(self):
        told = self.plan_action(Told, name="producer")
        self.plan_action(Told, name=told.output["nothing"])


class Unstorable(Action):
    def run(self):
        self.output["users"] = [{"ok": 1}, {"bad": object()}]


class Empty(Action):
    def plan(self):
        pass
