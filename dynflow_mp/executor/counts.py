"""What this executor does is counted as it does it: what is told to whoever watches, and decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from dynflow_mp.model.messages import Envelope
from dynflow_mp.model.states import Phase, PlanState
from dynflow_mp.model.throughput import AMOUNTS, OTHER, SECONDS, PlansDone, Spread, StepsDone, Throughput
from dynflow_mp.model.writes import SavePlan

MOST_CLASSES = 50
"""Counted by name, the first that come: a name once counted stays, so that no count ever falls."""

_PAUSED = PlanState.PAUSED.value
"""Counted among results; none of them has this name."""


class _Calls:
    """Of one class in one phase."""

    __slots__ = ("durations", "states")

    def __init__(self) -> None:
        self.states: dict[str, int] = {}
        self.durations = Spread(SECONDS)


class Counts:
    """Owned by the core's thread. Counting a step takes less than a microsecond."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, Phase], _Calls] = {}
        self._results: dict[str, Counter[str]] = {}
        self._commits, self._writes = Spread(SECONDS), Spread(AMOUNTS)
        self._messages: Counter[tuple[str, str]] = Counter()
        self._left: list[tuple[str, SavePlan]] = []
        self._lost_plans = 0

    def step(self, action_class: str, phase: Phase, state: str, execution_time: float | None) -> None:
        """A call has ended; ``execution_time`` in seconds, None where nobody knows."""
        calls = self._steps.get((action_class, phase))
        if calls is None:
            calls = self._new_calls(action_class, phase)
        calls.states[state] = calls.states.get(state, 0) + 1
        if execution_time is not None:
            calls.durations.add(execution_time)

    def _new_calls(self, action_class: str, phase: Phase) -> _Calls:
        if len(self._steps) >= MOST_CLASSES:
            action_class = OTHER
        return self._steps.setdefault((action_class, phase), _Calls())

    def leaves(self, action_class: str, write: SavePlan) -> None:
        """A plan stops, or pauses; it counts once that is stored. One that is handed over goes on elsewhere."""
        if not write.keep_requested:
            self._left.append((action_class, write))

    def committed(self, seconds: float, writes: int, lost: Collection[str]) -> None:
        """A turn is stored, but for what belongs to the ``lost`` plans."""
        self._commits.add(seconds)
        self._writes.add(writes)
        self._lost_plans += len(lost)
        while self._left:
            action_class, write = self._left.pop()
            if write.plan_id not in lost:
                results = self._results_of(action_class)
                results[write.result.value if write.state is PlanState.STOPPED else _PAUSED] += 1

    def _results_of(self, action_class: str) -> Counter[str]:
        if action_class not in self._results and len(self._results) >= MOST_CLASSES:
            action_class = OTHER
        return self._results.setdefault(action_class, Counter())

    def heard(self, envelope: Envelope) -> None:
        """Another world has said something."""
        self._messages["in", type(envelope.message).__name__] += 1

    def said(self, envelope: Envelope) -> None:
        """Something is said to another world."""
        self._messages["out", type(envelope.message).__name__] += 1

    def told(self, waits: Mapping[str, Spread]) -> Throughput:
        """All of it, to be read before the next turn; ``waits`` is counted by the pool."""
        return Throughput(
            tuple(
                StepsDone(name, phase.value, calls.states, calls.durations)
                for (name, phase), calls in self._steps.items()
            ),
            tuple(
                PlansDone(
                    name,
                    {result: count for result, count in results.items() if result != _PAUSED},
                    results[_PAUSED],
                )
                for name, results in self._results.items()
            ),
            waits,
            self._commits,
            self._writes,
            self._messages,
            self._lost_plans,
        )
