"""Asking a plan's actions what to do about its failed steps: users' code, called in a worker as an errand.

The question is a tree: the actions whose steps failed, and those that planned them. What one action says is combined
from what it says about itself, if a step of its own failed, and about each action below it (dynflow-core.md §11.4);
actions without a failure are not asked about.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from dynflow_mp.actions.action import Action, action_in
from dynflow_mp.actions.referred import show_references
from dynflow_mp.actions.registry import registry
from dynflow_mp.actions.stored_context import StoredContext
from dynflow_mp.errors import StepError
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.policies import RescueStrategy, combined_strategy
from dynflow_mp.model.states import Phase
from dynflow_mp.model.work import Errand, ErrorRecord


class FailedStep(NamedTuple):
    """A failed step, as its action is shown it when it is asked."""

    id: int
    phase: Phase
    error: ErrorRecord


class AskedAction(NamedTuple):
    """One action of the question; payloads are the codec's bytes, ``planned`` the ids of the asked actions below it."""

    id: int
    action_class: str
    plan_step_id: int
    run_step_id: int | None
    finalize_step_id: int | None
    input: bytes
    references: bytes | None
    output: bytes | None
    planned: list[int]
    failed: list[list[Any]]
    """Id, phase and error of each of its failed steps."""


def question(root: int, actions: list[AskedAction]) -> bytes:
    """As an errand's data."""
    return encode([root, [list(action) for action in actions]], "question", 2**40)


def tell_strategy(errand: Errand, _max_payload: int) -> bytes:
    """What the plan's actions say, as the codec's bytes: a strategy's word, None where nobody has an opinion."""
    root, actions = decode(errand.data)
    asked = {action[0]: AskedAction(*action) for action in actions}
    strategy = _Asked(errand.plan_id, asked, root).rescue_strategy()
    return encode(None if strategy is None else strategy.value, "strategy")


class _Asked(StoredContext[AskedAction]):
    """An action that is asked, in phase present."""

    __slots__ = ("_action", "_others")

    def __init__(self, plan_id: str, others: dict[int, AskedAction], action_id: int) -> None:
        super().__init__(plan_id, others[action_id])
        self._others = others
        self._action = action_in(registry.find(self._row.action_class), self)

    def rescue_strategy(self) -> RescueStrategy | None:
        said = [self._action.rescue_strategy_for_self()] if self._row.failed else []
        said += [self._action.rescue_strategy_for_planned_action(action) for action in self.planned_actions()]
        return combined_strategy(one if one is None else _checked(self._action, one) for one in said)

    def planned_actions(self, kind: type[Action] | None = None) -> list[Action]:
        below = [_Asked(self._plan_id, self._others, action_id)._action for action_id in self._row.planned]
        return below if kind is None else [action for action in below if isinstance(action, kind)]

    def all_planned_actions(self, kind: type[Action] | None = None) -> list[Action]:
        own = self.planned_actions()
        deeper = [action for child in own for action in child.all_planned_actions()]
        return [action for action in own + deeper if kind is None or isinstance(action, kind)]

    def _decoded_input(self) -> dict[str, Any]:
        values = super()._decoded_input()
        show_references(values, self._row.references, self._plan_id)
        return values

    def steps(self) -> list[Any]:
        """Its failed steps."""
        return [
            FailedStep(step_id, Phase(phase), ErrorRecord.from_bytes(error))
            for step_id, phase, error in self._row.failed
        ]


def _checked(action: Action, said: object) -> RescueStrategy:
    try:
        return RescueStrategy(said)
    except ValueError:
        raise StepError(
            f"{type(action).__name__} gave {said!r} for a rescue strategy; it must be one of "
            f"{', '.join(RescueStrategy)}, or None"
        ) from None
