"""What people do with a simulated client: they trigger plans, wait for them, send events, resume what paused."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from dynflow_mp.actions.registry import name_of
from dynflow_mp.errors import DynflowError
from dynflow_mp.model.states import PlanState
from dynflow_mp.reading.trigger_result import Triggered
from dynflow_mp.world.world import World
from tests.simulation import actions, database
from tests.simulation.hosts import Host
from tests.simulation.kernel import Process
from tests.simulation.scenario import Plan
from tests.simulation.threads import VirtualEvent, here, kernel

_LISTENS = name_of(actions.Listens)
_GIVE_UP_S = 130.0


Sent: TypeAlias = list[Any]


@dataclass
class Asked:
    """A future that a client holds."""

    what: str
    process: Process
    future: Future[Any]


@dataclass
class Story:
    """What clients know of all plans, and what they have done."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    """Plans whose ``trigger`` returned, and whose they are."""
    asked: list[Asked] = field(default_factory=list)
    sent: dict[tuple[str, int], list[Sent]] = field(default_factory=dict)
    """Events by plan and step, in the order in which they were sent: a number, and the world that sent it."""
    taken: dict[tuple[str, int], list[Sent]] = field(default_factory=dict)
    """Those whose future said that they were taken."""
    resumed: set[str] = field(default_factory=set)


class Client:
    """One client host, and those who use it."""

    def __init__(self, number: int, host: Host, story: Story, resumes: float) -> None:
        self.number, self.host, self._story, self._resumes = number, host, story, resumes
        host.when_up.append(self._up)

    def trigger(self, plan: Plan) -> None:
        """Have the plan triggered, if the client is there just now."""
        host = self.host
        if host.up and host.process is not None and host.world is not None:
            world = host.world
            host.process.spawn(lambda: self._trigger(world, plan), "user")

    def adopt(self) -> None:
        """Send events to plans that wait for them and of which nobody knows: who triggered them died before it heard."""
        process, world = self.host.process, self.host.world
        if process is None or world is None:
            return
        waiting = database.rows(
            "SELECT DISTINCT execution_plan_id FROM dynflow_steps WHERE action_class = ?", (_LISTENS,)
        )
        for (plan_id,) in waiting:
            if plan_id not in self._story.acknowledged:
                self._story.acknowledged[plan_id] = self.number
                process.spawn(lambda plan_id=plan_id: self._send_events(world, plan_id), "user")

    def _up(self, world: World) -> None:
        """It is back: events that are still missing are sent, by whoever knows of them."""
        for plan_id, number in self._story.acknowledged.items():
            if number == self.number:
                self._send_events(world, plan_id)

    def _trigger(self, world: World, plan: Plan) -> None:
        try:
            triggered = world.trigger(actions.Root, plan.tree)
        except DynflowError as error:
            kernel().say(self.host.name, f"could not trigger: {error!r}")
            return
        assert isinstance(triggered, Triggered), triggered
        plan_id = triggered.id
        self._story.acknowledged[plan_id] = self.number
        kernel().say(self.host.name, f"has triggered {plan_id[-6:]}: {plan.tree}")
        self._send_events(world, plan_id)
        ended = self._waited_for(f"plan {plan_id[-6:]}", triggered.finished)
        if ended is None or ended.state is not PlanState.PAUSED or plan_id in self._story.resumed:
            return
        if kernel().chance.random() < self._resumes:
            self._story.resumed.add(plan_id)
            kernel().pause(0.1, 2.0)
            kernel().say(self.host.name, f"resumes {plan_id[-6:]}")
            try:
                resumed = world.execute(plan_id)
                self._send_events(world, plan_id)
                self._waited_for(f"resumed plan {plan_id[-6:]}", resumed)
            except DynflowError as error:
                kernel().say(self.host.name, f"could not resume: {error!r}")

    def _waited_for(self, what: str, future: Future[Any]) -> Any:
        """The future's value; None for an error."""
        self._story.asked.append(Asked(what, here().process, future))
        done = VirtualEvent()
        future.add_done_callback(lambda _future: done.set())
        done.wait()
        kernel().say(self.host.name, f"hears of {what}: {future.exception() or 'done'}")
        return None if future.exception() is not None else future.result()

    # -- events ----------------------------------------------------------------------------------------

    def _send_events(self, world: World, plan_id: str) -> None:
        listening = database.rows(
            "SELECT id FROM dynflow_steps WHERE execution_plan_id = ? AND phase = ? AND action_class = ?",
            (plan_id, "run", _LISTENS),
        )
        for (step_id,) in listening:
            here().process.spawn(
                lambda step_id=step_id: self._send_all(world, plan_id, step_id), f"events of {plan_id[-6:]}"
            )

    def _send_all(self, world: World, plan_id: str, step_id: int) -> None:
        """One after the other, each once more if it was not taken, until the step has ended."""
        key = (plan_id, step_id)
        sent = self._story.sent.setdefault(key, [])
        taken = self._story.taken.setdefault(key, [])
        while kernel().now < _GIVE_UP_S and not self._ended(*key):
            kernel().pause(0.05, 1.0)
            event = [len(sent), world.id]
            sent.append(event)
            try:
                future = world.event(plan_id, step_id, event)
            except DynflowError as error:
                kernel().say(self.host.name, f"could not send an event: {error!r}")
                return
            if self._waited_for(f"event {event[0]} of {plan_id[-6:]}/{step_id}", future):
                taken.append(event)

    def _ended(self, plan_id: str, step_id: int) -> bool:
        query = (
            "SELECT s.state, p.state, p.requested_at FROM dynflow_steps s JOIN dynflow_execution_plans p"
            " ON p.id = s.execution_plan_id WHERE p.id = ? AND s.id = ?"
        )
        step, plan, requested_at = database.rows(query, (plan_id, step_id))[0]
        return (
            step in ("success", "skipped") or plan == "stopped" or (plan == "paused" and requested_at is None)
        )
