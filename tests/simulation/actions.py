"""What the plans of a simulation consist of. Their code takes virtual time, and notes what it does outside of the database."""

from __future__ import annotations

from typing import Any, ClassVar

from dynflow_mp import Action, Retry, WithSubPlans
from tests.simulation.threads import kernel


class Seen:
    """The world outside: what steps have left there, whatever became of their plans since."""

    events: ClassVar[dict[tuple[str, int], list[tuple[int, Any]]]] = {}
    """By plan and step: attempt and event, as the code was called with it."""
    failures: ClassVar[dict[tuple[str, int], int]] = {}
    """How often a step that is to fail has done so."""

    @classmethod
    def forget(cls) -> None:
        cls.events.clear()
        cls.failures.clear()


def work(seconds: float) -> None:
    """Take that long."""
    kernel().wait(seconds)


class Works(Action):
    """Takes its time."""

    def run(self) -> None:
        work(self.input["takes_s"])
        self.output["done"] = self.input["name"]


class WorksAgain(Action):
    """May be run again after a crash."""

    idempotent = True

    def run(self) -> None:
        work(self.input["takes_s"])
        self.output["done"] = self.input["name"]


class Follows(Action):
    """Needs what another step has put out."""

    def run(self) -> None:
        work(self.input["takes_s"])
        self.output["after"] = self.input["before"]


class Fails(Action):
    """Always."""

    def run(self) -> None:
        work(self.input["takes_s"])
        raise ValueError("it was to be expected")


class FailsAtFirst(Action):
    """Fails a number of times, and is tried again by itself."""

    retry = Retry(max_attempts=6, backoff_s=0.2, jitter=0.1)

    def run(self) -> None:
        work(self.input["takes_s"])
        key = (self.execution_plan_id, self.id)
        failed = Seen.failures.get(key, 0)
        if failed < self.input["times"]:
            Seen.failures[key] = failed + 1
            raise ValueError(f"failure {failed + 1}")


class Listens(Action):
    """Waits for events, a number of them, and keeps them in its output in the order they came."""

    def run(self, event: Any = None) -> None:
        work(self.input["takes_s"])
        if event is not None:
            self.output.setdefault("heard", []).append(event)
        if len(self.output.get("heard", [])) < self.input["events"]:
            self.suspend()


class Sleeps(Action):
    """Has itself woken after some time, without holding a worker."""

    def run(self, event: Any = None) -> None:
        if event is None:
            self.plan_event("wake up", self.input["sleeps_s"])
            self.suspend()
        self.output["woken"] = True


class Triggers(WithSubPlans):
    """Has sub-plans, and waits for them."""

    def create_sub_plans(self) -> list[Any]:
        return [
            self.trigger(Works, name=f"{self.input['name']}.{number}", takes_s=self.input["takes_s"])
            for number in range(self.input["children"])
        ]


class Finalizes(Action):
    """Has a finalize phase."""

    def run(self) -> None:
        work(self.input["takes_s"])

    def finalize(self) -> None:
        work(self.input["takes_s"])
        self.output["finalized"] = True


KINDS = {
    kind.__name__: kind
    for kind in (Works, WorksAgain, Fails, FailsAtFirst, Listens, Sleeps, Triggers, Finalizes)
}


class Root(Action):
    """A plan as a tree: ``["sequence" | "concurrence", ‹trees›]`` and ``[‹kind›, ‹input›]``."""

    def plan(self, tree: list[Any]) -> None:
        self._grow(tree)

    def _grow(self, tree: list[Any]) -> Any:
        kind, what = tree
        if kind == "sequence":
            with self.sequence():
                return [self._grow(branch) for branch in what][-1]
        if kind == "concurrence":
            with self.concurrence():
                return [self._grow(branch) for branch in what][-1]
        if kind == "pair":  # the second one has what the first put out
            first, second = what
            with self.sequence():
                before = self.plan_action(KINDS[first[0]], **first[1])
                return self.plan_action(Follows, before=before.output["done"], **second)
        return self.plan_action(KINDS[kind], **what)
