"""What is to go wrong in an in-thread world, and at which step."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from dynflow_mp.actions.action import Action
from dynflow_mp.actions.registry import name_of
from dynflow_mp.model.work import FinalizePart, StepJob

Where = type[Action] | int
"""At which step: of an action class, or of this number."""


class Victim(Enum):
    """Who dies."""

    WORKER = "worker"
    EXECUTOR = "executor"


class ExecutorKilled(BaseException):
    """The executor of an in-thread world dies here."""


class WorkerKilled(BaseException):
    """The worker dies here, at this ``part`` of a finalize phase."""

    def __init__(self, cause: str, part: int = 0) -> None:
        super().__init__(cause)
        self.cause, self.part = cause, part


class _Planned(NamedTuple):
    victim: Victim
    where: Where
    ran: bool
    times: int
    cause: str

    def strikes(self, work: StepJob | FinalizePart, ran: bool) -> bool:
        here = work.step_id if isinstance(self.where, int) else work.action_class
        there = self.where if isinstance(self.where, int) else name_of(self.where)
        return self.ran is ran and here == there


class Mishaps:
    """The deaths that were ordered and have not happened yet. Of one world."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []

    def order(self, victim: Victim, where: Where, *, ran: bool, times: int, cause: str) -> None:
        """Have ``victim`` die at that step: before its code runs, or when it ``ran`` and nobody knows."""
        self._planned.append(_Planned(victim, where, ran, times, cause))

    def strike(self, work: StepJob | FinalizePart, ran: bool, part: int = 0) -> None:
        """Raises if someone is to die now."""
        for place, planned in enumerate(self._planned):
            if planned.strikes(work, ran):
                self._planned[place : place + 1] = _one_less(planned)
                if planned.victim is Victim.EXECUTOR:
                    raise ExecutorKilled
                raise WorkerKilled(planned.cause, part)


def _one_less(planned: _Planned) -> list[_Planned]:
    return [planned._replace(times=planned.times - 1)] if planned.times > 1 else []
