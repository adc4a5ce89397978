"""The actions that the benchmarks run; workers import this module."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bench.spin import spin
from dynflow_mp import Action, WithBulkSubPlans

WAIT_S = 300.0
"""How long a step that waits for a file does so at most."""


class Nothing(Action):
    """A step that does nothing."""

    def run(self) -> None:
        pass


class FanOut(Action):
    """``n`` steps at once that do nothing."""

    def plan(self, n: int) -> None:
        for number in range(n):
            self.plan_action(Nothing, n=number)


class Link(Action):
    """Adds one to what it was given."""

    def run(self) -> None:
        self.output["n"] = self.input["n"] + 1


class Chain(Action):
    """``n`` steps one after the other, each taking the last one's output."""

    def plan(self, n: int) -> None:
        with self.sequence():
            last: Any = 0
            for _ in range(n):
                last = self.plan_action(Link, n=last).output["n"]


class Echo(Action):
    """Gives back as much as it was given, in another order."""

    def run(self) -> None:
        self.output["data"] = self.input["data"][::-1]


class Payload(Action):
    """``n`` steps at once, each with ``size`` bytes in and as many out. No two inputs are the same."""

    def plan(self, n: int, block: bytes) -> None:
        for number in range(n):
            self.plan_action(Echo, data=number.to_bytes(8) + block[8:])


class Spin(Action):
    """Keeps a processor busy."""

    def run(self) -> None:
        self.output["sum"] = spin(self.input["rounds"])


class Spins(Action):
    """``n`` steps at once that keep a processor busy."""

    def plan(self, n: int, rounds: int) -> None:
        for _ in range(n):
            self.plan_action(Spin, rounds=rounds)


class Sleeper(Action):
    """Sleeps until an event comes."""

    def run(self, event: Any = None) -> None:
        if event is None:
            self.suspend()


class Sleepers(Action):
    """``n`` steps at once that sleep until an event comes."""

    def plan(self, n: int) -> None:
        for _ in range(n):
            self.plan_action(Sleeper)


class Patience(Action):
    """Waits for an hour, or for an event."""

    def run(self, event: Any = None) -> None:
        if event is None:
            self.plan_event("over", delay_s=3600)
            self.suspend()


class Patient(Action):
    """``n`` steps at once that wait for an hour."""

    def plan(self, n: int) -> None:
        for _ in range(n):
            self.plan_action(Patience)


class Offspring(WithBulkSubPlans):
    """``n`` sub-plans of one step that does nothing."""

    def plan(self, n: int) -> None:
        self.plan_self(n=n)

    def total_count(self) -> int:
        return int(self.input["n"])

    def batch(self, start: int, size: int) -> range:
        return range(start, start + size)

    def create_sub_plans(self) -> None:
        for number in self.current_batch:
            self.trigger(Nothing, n=number)


class Gate(Action):
    """Holds its worker until a file is there."""

    def run(self) -> None:
        gate, deadline = Path(self.input["gate"]), time.monotonic() + WAIT_S
        while not gate.exists() and time.monotonic() < deadline:
            time.sleep(0.05)


class Waiting(Action):
    """``gates`` steps that hold a worker each until a file is there, and ``n`` more that wait behind them."""

    def plan(self, n: int, gates: int, gate: str) -> None:
        for _ in range(gates):
            self.plan_action(Gate, gate=gate)
        for number in range(n):
            self.plan_action(Nothing, n=number)
