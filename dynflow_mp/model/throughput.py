"""What an executor has done since it started, counted: it travels with the report of its workers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
"""Bounds of how long something took."""
AMOUNTS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Bounds of how many there were."""
OTHER = "other"
"""Stands for all classes beyond those that are counted by name."""


class Spread:
    """How values lie: how many up to each bound, and above the last one; and their sum. What Prometheus calls a histogram."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float], counts: Sequence[int] = (), total: float = 0.0) -> None:
        self.bounds = tuple(bounds)
        self.counts = list(counts) or [0] * (len(self.bounds) + 1)
        self.total = total
        if len(self.counts) != len(self.bounds) + 1:
            raise ValueError(f"{len(self.counts)} counts for {len(self.bounds)} bounds")

    def add(self, value: float) -> None:
        """One more. A value that is a bound counts below it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spread) and self.to_data() == other.to_data()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def to_data(self) -> list[Any]:
        """As it travels."""
        return [list(self.bounds), list(self.counts), self.total]

    @classmethod
    def from_data(cls, data: Any) -> Spread:
        """Raises ``TypeError`` and ``ValueError`` for what is none."""
        bounds, counts, total = data
        return cls([float(one) for one in bounds], [int(one) for one in counts], float(total))


class StepsDone(NamedTuple):
    """Calls of one class's steps in one phase (``run`` or ``finalize``): how they ended, and how long they took (seconds).

    ``states``: how many by the state that they left their step in. One whose worker died is an ``error``, and has no duration.
    """

    action_class: str
    phase: str
    states: dict[str, int]
    durations: Spread


class PlansDone(NamedTuple):
    """Plans that left this executor, by the class of their entry action: stopped ones by result, and pauses."""

    action_class: str
    results: dict[str, int]
    pauses: int


class Throughput(NamedTuple):
    """Since the executor started. Classes beyond the first fifty are counted together, as ``other``.

    ``waits`` tells by queue how long jobs waited for a worker, ``commits`` how long the transactions of turns took, their
    repeats included (both in seconds), ``writes`` how many changes were in one. ``messages`` are counted by direction
    (``in``, ``out``) and kind; ``lost_plans`` are those that another world has taken.
    """

    steps: tuple[StepsDone, ...]
    plans: tuple[PlansDone, ...]
    waits: Mapping[str, Spread]
    commits: Spread
    writes: Spread
    messages: Mapping[tuple[str, str], int]
    lost_plans: int

    def to_data(self) -> dict[str, Any]:
        """As it travels."""
        return {
            "steps": [[*one[:3], one.durations.to_data()] for one in self.steps],
            "plans": [list(one) for one in self.plans],
            "waits": {queue: spread.to_data() for queue, spread in self.waits.items()},
            "commits": self.commits.to_data(),
            "writes": self.writes.to_data(),
            "messages": [[*key, count] for key, count in self.messages.items()],
            "lost_plans": self.lost_plans,
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Throughput:
        """What :meth:`to_data` made. Raises ``KeyError``, ``TypeError`` and ``ValueError`` for anything else."""
        return cls(
            tuple(
                StepsDone(str(name), str(phase), _counts(states), Spread.from_data(durations))
                for name, phase, states, durations in data["steps"]
            ),
            tuple(
                PlansDone(str(name), _counts(results), int(pauses)) for name, results, pauses in data["plans"]
            ),
            {str(queue): Spread.from_data(spread) for queue, spread in data["waits"].items()},
            Spread.from_data(data["commits"]),
            Spread.from_data(data["writes"]),
            {(str(way), str(kind)): int(count) for way, kind, count in data["messages"]},
            int(data["lost_plans"]),
        )


def _counts(data: Mapping[str, Any]) -> dict[str, int]:
    return {str(key): int(count) for key, count in data.items()}
