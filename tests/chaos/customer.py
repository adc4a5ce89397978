"""A client of a campaign: triggers plans of every kind without end, resumes those that pause, until it is told to stop.

Each plan's id is written down, synced, once ``trigger`` has returned: from then on it must never be lost.
"""

from __future__ import annotations

import random
import select
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any

from chaos import actions, effects
from dynflow_mp import World
from dynflow_mp.errors import AlreadyRunning, NoExecutor, PersistenceError, PlanStopped, RequestError

WAITING_STEP = 2
"""The run step of a plan that is one action."""
EVENT_EVERY_S = 0.3
STOP_S = 45.0

Making = Callable[[World, random.Random], str | Any]


def _takes(chance: random.Random) -> float:
    return round(chance.uniform(0.002, 0.03), 4)


KINDS: dict[str, Making] = {
    "sequence": lambda world, chance: world.trigger(actions.Pair, chance.random() < 0.5),
    "concurrence": lambda world, chance: world.trigger(actions.Wide, chance.randrange(2, 6), _takes(chance)),
    "transfer": lambda world, chance: world.trigger(actions.Transfer, chance.randrange(1, 1000)),
    "retry": lambda world, chance: world.trigger(actions.Flaky),
    "event": lambda world, chance: world.trigger(actions.Waits),
    "timer": lambda world, chance: world.trigger(actions.Alarmed),
    "polling": lambda world, chance: world.trigger(actions.Polled),
    "sub-plans": lambda world, chance: world.trigger(actions.Parent, count=chance.randrange(1, 5)),
    "finalize": lambda world, chance: world.trigger(actions.Finalized, chance.randrange(1, 4)),
    "hook": lambda world, chance: world.trigger(actions.Hooked),
    "delayed": lambda world, chance: world.delay(
        actions.Worked, start_at=datetime.now(UTC) + timedelta(seconds=chance.uniform(0, 0.5)), number=1
    ),
}


class Customer:
    """Keeps ``most`` plans under way."""

    def __init__(self, world: World, most: int, chance: random.Random) -> None:
        self.world, self.most, self.chance = world, most, chance
        self.open: dict[str, str] = {}
        """The kind by plan, of those that have not ended well."""
        self.due: list[tuple[float, str]] = []
        """Plans to be asked for, or looked at, again."""
        self.ends: SimpleQueue[tuple[str, Future[Any]]] = SimpleQueue()
        self.events: dict[str, Future[bool]] = {}
        self.acknowledged = effects.directory() / "acknowledged"

    def go_on(self, making: bool) -> None:
        """One round: hear what has ended, ask again, wake what waits, and make new plans."""
        while True:
            try:
                plan_id, future = self.ends.get_nowait()
            except Empty:
                break
            self._ended(plan_id, future)
        now = time.monotonic()
        due, self.due = (
            [p for at, p in self.due if at <= now],
            [entry for entry in self.due if entry[0] > now],
        )
        for plan_id in due:
            self._again(plan_id)
        self._wake()
        while making and len(self.open) < self.most:
            self._make()

    def _make(self) -> None:
        kind = self.chance.choice(list(KINDS))
        try:
            made = KINDS[kind](self.world, self.chance)
        except PersistenceError:
            return  # nobody was told that it is there; it may be, and then it runs
        effects.append(self.acknowledged, made.id)
        self.open[made.id] = kind
        if kind == "delayed":
            self._later(made.id)
        else:
            self._follow(made.id, made.finished)

    def _follow(self, plan_id: str, future: Future[Any]) -> None:
        future.add_done_callback(lambda done: self.ends.put((plan_id, done)))

    def _later(self, plan_id: str, seconds: float = 0.5) -> None:
        self.due.append((time.monotonic() + seconds, plan_id))

    def _ended(self, plan_id: str, future: Future[Any]) -> None:
        error = future.exception()
        if error is None:
            plan = future.result()
            if plan.state == "stopped":
                self.open.pop(plan_id, None)
            else:
                self._later(plan_id, 0.05)
        elif isinstance(error, (RequestError, PersistenceError)):
            self._later(plan_id)
        else:
            raise error

    def _again(self, plan_id: str) -> None:
        """Ask for a plan that has paused; wait for one that nobody need ask for."""
        try:
            plan = self.world.persistence.load_execution_plan(plan_id)
            if plan.state == "stopped":
                self.open.pop(plan_id, None)
            elif plan.state == "paused" and plan.result == "error":
                self._follow(plan_id, self.world.execute(plan_id, sub_plans=True))
            else:
                self._later(plan_id)
        except (AlreadyRunning, NoExecutor, PlanStopped, PersistenceError):
            self._later(plan_id)

    def _wake(self) -> None:
        for plan_id, kind in self.open.items():
            sent = self.events.get(plan_id)
            if kind == "event" and (sent is None or sent.done()):
                self.events[plan_id] = self.world.event(plan_id, WAITING_STEP, "go")
        for plan_id in [plan_id for plan_id in self.events if plan_id not in self.open]:
            del self.events[plan_id]


def told_to_stop(seconds: float) -> bool:
    """Whether whoever started this has closed its standard input, or said so, within that time."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])


def main(url: str, most: str, seed: str) -> None:
    with World(database_url=url) as world:
        customer = Customer(world, int(most), random.Random(int(seed)))
        print("ready", flush=True)
        while not told_to_stop(0.02):
            customer.go_on(making=True)
        give_up_at = time.monotonic() + STOP_S
        while customer.open and time.monotonic() < give_up_at:
            customer.go_on(making=False)
            time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
