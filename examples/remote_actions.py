"""What the remote executor's client asks for: an order of a few parts, each taking a moment."""

from __future__ import annotations

import os
import time

from dynflow_mp import Action


class Part(Action):
    """Makes one part; says which process made it."""

    def run(self) -> None:
        time.sleep(self.input["seconds"])
        self.output.update(weight=10 * self.input["number"], made_by=os.getpid())


class Box(Action):
    """Packs the parts."""

    def run(self) -> None:
        self.output["weight"] = sum(self.input["weights"])


class Order(Action):
    """Parts made side by side, then packed."""

    def plan(self, parts: int, seconds: float) -> None:
        made = [self.plan_action(Part, number=number, seconds=seconds) for number in range(1, parts + 1)]
        box = self.plan_action(Box, weights=[part.output["weight"] for part in made])
        self.plan_self(weight=box.output["weight"], makers=[part.output["made_by"] for part in made])

    def run(self) -> None:
        self.output.update(weight=self.input["weight"], workers=len(set(self.input["makers"])))
