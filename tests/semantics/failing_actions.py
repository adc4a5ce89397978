"""Actions that fail, and what their classes say about it."""

from dynflow_mp import Action, Fail, Retry, Skip


class ActionWithSkip(Action):
    """Dynflow's own example: leaves a message when it is skipped."""

    rescue_strategy = Skip

    def run(self, event=None):
        if event is Skip:
            self.output["message"] = "skipped because of what failed"
        else:
            if self.input.get("in_run", True):
                self.error(f"some error as {self.input.get('name')}")
            self.output["message"] = "Been here"

    def finalize(self):
        if not self.input.get("in_run", True):
            self.error("some error in finalize")


class FailingSkip(ActionWithSkip):
    def run(self, event=None):
        self.output["calls"] = self.output.get("calls", 0) + 1
        self.error("failed again")


class Composed(Action):
    def plan(self, inputs):
        for values in inputs:
            self.plan_action(ActionWithSkip, **values)


class MustPause(Action):
    def run(self):
        self.error("look at it")


class MustFail(Action):
    rescue_strategy = Fail

    def run(self):
        self.error("end it")


class Several(Action):
    def plan(self, names):
        for name in names:
            self.plan_action(globals()[name])


class Backs(Action):
    """Works at the fourth attempt."""

    retry = Retry(max_attempts=4, backoff_s=10, factor=3, jitter=0)

    def run(self):
        self.output["calls"] = self.output.get("calls", 0) + 1
        if self.output["calls"] < self.input["works_at"]:
            raise ConnectionError("away")


class Repeats(Action):
    idempotent = True

    def run(self):
        self.output["ran"] = True


class HasAnHour(Action):
    deadline_s = 3600

    def run(self, event=None):
        if event is None:
            self.suspend()
