"""After the last kill: what waits is woken, what has paused is resumed, until every plan has ended."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import Future
from typing import Any

from chaos.customer import WAITING_STEP
from dynflow_mp import World

PATIENCE_S = 90.0
"""How long nothing may change until what is left counts as stuck."""
OF_DEATHS = {"AbnormalTermination", "WorkerLost", "SubPlanFailed", "StepStopped", "LeaseLost"}
"""Errors that a killed process leaves in steps; whatever else fails a step here is a bug."""
_LOOK_S = 0.1


class Quiescence:
    """Does what a user would: resumes, and sends the events that killed clients owed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._asked: dict[str, Future[Any]] = {}
        self._events: dict[str, Future[bool]] = {}

    def reach(self) -> list[str]:
        """Wait until all plans have stopped; those that do not, in words."""
        seen, changed_at = Counter[str](), time.monotonic()
        while left := self._left():
            now = Counter(f"{plan_id} {plan.state}" for plan_id, plan in left.items())
            if now != seen:
                seen, changed_at = now, time.monotonic()
            if time.monotonic() - changed_at > PATIENCE_S:
                return [self._in_words(plan_id) for plan_id in left]
            for plan_id, plan in left.items():
                self._attend(plan_id, plan)
            time.sleep(_LOOK_S)
        return self._ended_badly()

    def _left(self) -> dict[str, Any]:
        states = ["scheduled", "planning", "planned", "running", "paused", "pending"]
        return self._world.persistence.find_statuses({"state": states})

    def _attend(self, plan_id: str, plan: Any) -> None:
        if plan.state == "paused" and self._is_free(self._asked, plan_id):
            self._asked[plan_id] = self._world.execute(plan_id, sub_plans=True)
        elif plan.state == "running" and self._is_free(self._events, plan_id) and self._waits(plan_id):
            self._events[plan_id] = self._world.event(plan_id, WAITING_STEP, "go")

    def _is_free(self, asked: dict[str, Future[Any]], plan_id: str) -> bool:
        """Whether what was asked for last has its answer, whatever that was."""
        return plan_id not in asked or asked[plan_id].done()

    def _waits(self, plan_id: str) -> bool:
        plan = self._world.persistence.load_execution_plan(plan_id)
        return plan.label == "Waits" and plan.steps[WAITING_STEP].state == "suspended"

    def _in_words(self, plan_id: str) -> str:
        plan = self._world.persistence.load_execution_plan(plan_id)
        steps = "; ".join(
            f"{step} (attempt {step.attempts})" for step in plan.steps.values() if step.state != "success"
        )
        history = ", ".join(map(str, plan.execution_history))
        held = self._world.coordinator.execution_lock(plan_id)
        return f"stuck: {plan!r} held by {held}: {steps}; {history}; {[str(e)[:200] for e in plan.errors]}"

    def _ended_badly(self) -> list[str]:
        """Plans that have stopped otherwise than with success, and steps that failed for reasons of their own."""
        bad = self._world.persistence.find_execution_plans(
            {"state": "stopped", "result": ["error", "warning"]}
        )
        return [
            f"ended badly: {plan!r}: {[str(error)[:200] for error in plan.errors]}"
            for plan in bad
            if not _is_the_third_death(plan)
        ]


def _is_the_third_death(plan: Any) -> bool:
    """A scheduled plan whose planner died three times with its worker is given up, as is documented."""
    return plan.label == "Worked" and all("WorkerLost" in str(error) for error in plan.errors)
