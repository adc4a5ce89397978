"""The actions that the benchmarks run; workers import this module."""

from __future__ import annotations

from typing import Any

from dynflow_mp import Action


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
