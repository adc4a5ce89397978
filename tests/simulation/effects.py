"""What steps did, noted outside of the database by whoever ran them: which step, which attempt, where, from when to when."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.kernel import Kernel, Process


@dataclass(slots=True)
class Effect:
    """One call of a step's code."""

    process: Process
    plan_id: str
    step_id: int
    attempt: int
    event: bytes | None
    begun: float
    ended: float | None = None
    state: str = ""

    @property
    def over(self) -> float:
        """When it was over: by its own end, or by its process's."""
        died = self.process.ended_at
        if self.ended is not None:
            return self.ended
        return float("inf") if died is None else died


class Effects:
    """All of them, in the order in which they began."""

    def __init__(self, kernel: Kernel) -> None:
        self.all: list[Effect] = []
        self._kernel = kernel

    def begin(
        self, process: Process, plan_id: str, step_id: int, attempt: int, event: bytes | None
    ) -> Effect:
        effect = Effect(process, plan_id, step_id, attempt, event, self._kernel.now)
        self.all.append(effect)
        self._kernel.say(process.name, f"BEGINS step {step_id}/{attempt} of {plan_id[-6:]}")
        return effect

    def end(self, effect: Effect, state: str) -> None:
        effect.ended, effect.state = self._kernel.now, state
        self._kernel.say(
            effect.process.name,
            f"ENDS step {effect.step_id}/{effect.attempt} of {effect.plan_id[-6:]}: {state}",
        )
