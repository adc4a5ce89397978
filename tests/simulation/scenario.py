"""What is in a seed: machines, worlds, plans, and what goes wrong when."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

FAULTS_UNTIL_S = 9.0
"""Nothing goes wrong any more after that (virtual seconds)."""
LIMIT_S = 150.0
"""By then everything must have come to its end."""

FAULTS = (
    "kill executor",
    "kill client",
    "kill worker",
    "stop executor",
    "stop worker",
    "end executor",
    "set clock",
    "database away",
    "database slow",
    "network cut",
)


@dataclass(frozen=True)
class Profile:
    """Seeds in which one kind of trouble is frequent: what happens at random once in a day is met in minutes."""

    kinds: tuple[str, ...]
    numbers: tuple[int, ...] = (4, 6, 8)
    lasts_s: tuple[float, ...] = (0.3, 1.0, 3.0, 5.0, 7.0)
    executors: tuple[int, ...] = (2, 2, 3)
    machines: tuple[int, ...] = (1, 2, 2, 3)
    refused: float = 0.02
    late_s: tuple[float, ...] = (0.005, 0.2, 3.0)


ALL_SORTS = Profile(FAULTS, (2, 4, 6, 8, 12), executors=(1, 2, 2, 2, 2, 3), machines=(1, 2, 2, 2, 3))
PROFILES = {
    "stops": Profile(
        ("stop executor", "stop executor", "database slow", "end executor"), lasts_s=(2.0, 3.0, 4.0, 5.0)
    ),
    "slow database": Profile(("database slow",), (6, 9, 12), (0.5, 1.5, 2.5, 3.0), refused=0.3),
    "deaths": Profile(
        ("kill executor", "kill executor", "kill worker"), (4, 6, 8), (0.3, 1.0), machines=(1, 1, 2)
    ),
    "crowd": Profile(
        ("stop executor", "database slow", "database away", "network cut", "kill executor"),
        late_s=(0.2, 3.0),
        executors=(3,),
    ),
}


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong: when, what, to whom (a number: who is there then is counted), for how long."""

    at: float
    kind: str
    whom: int
    lasts_s: float
    chance: float


@dataclass(frozen=True)
class Plan:
    """A plan that a client triggers, and when. ``dies_with``: nobody waits for it any more if that client dies."""

    at: float
    client: int
    tree: list[Any]


@dataclass
class Scenario:
    """All of it."""

    seed: int
    machines: int
    executors: list[tuple[int, int]]
    """Machine and number of workers of each."""
    clients: list[int]
    """Machine of each."""
    plans: list[Plan]
    faults: list[Fault]
    lost: float
    doubled: float
    late_s: float
    refused: float
    unknown: float
    most_set_s: float
    """By how much clocks are set, at most."""
    rates: list[float] = field(default_factory=list)

    @property
    def only_clocks(self) -> bool:
        """Whether nothing goes wrong but clocks that are set: then nobody may be taken for dead."""
        quiet = not (self.lost or self.refused or self.unknown)
        return quiet and all(fault.kind == "set clock" for fault in self.faults)


def scenario_of(seed: int, profile: str | None = None) -> Scenario:
    """The scenario of a seed: always the same. ``profile``: with much of that; else what the seed itself says."""
    chance = Random(f"scenario {seed}")
    style = chance.random()
    quiet = style < 0.08 and profile is None
    if profile is None and style > 0.7:
        profile = chance.choice(list(PROFILES))
    much = ALL_SORTS if profile is None else PROFILES[profile]
    if quiet:
        much = replace(much, kinds=("set clock",))
    machines = chance.choice(much.machines)
    executors = [
        (chance.randrange(machines), chance.choice((1, 2, 2, 3)))
        for _ in range(chance.choice(much.executors))
    ]
    clients = [chance.randrange(machines) for _ in range(chance.choice((1, 1, 1, 2)))]
    plans = [
        Plan(chance.uniform(0.2, 3.0), chance.randrange(len(clients)), _tree(chance, f"p{number}"))
        for number in range(chance.choice((2, 3, 3, 4)))
    ]
    rough = chance.random()
    faults = [_fault(chance, much) for _ in range(chance.choice(much.numbers))]
    timers = any(kind in str(plan.tree) for plan in plans for kind in ("Sleeps", "FailsAtFirst"))
    return Scenario(
        seed,
        machines,
        executors,
        clients,
        plans,
        sorted(faults, key=lambda fault: fault.at),
        lost=0.0 if quiet else chance.choice((0.0, 0.02, 0.1, 0.2)),
        doubled=chance.choice((0.0, 0.1, 0.3)),
        late_s=chance.choice(much.late_s),
        refused=0.0 if quiet else much.refused * rough,
        unknown=0.0 if quiet else chance.choice((0.0, 0.03, 0.1)),
        # What waits for its time is stored by the time of day: an executor that takes it up has nothing else to go by.
        most_set_s=3.0 if timers else 86400.0,
        rates=[chance.uniform(0.98, 1.02) for _ in range(machines)],
    )


def _fault(chance: Random, much: Profile) -> Fault:
    kind = chance.choice(much.kinds)
    lasts_s = chance.choice(much.lasts_s) * chance.uniform(0.7, 1.3)
    return Fault(
        chance.uniform(0.5, FAULTS_UNTIL_S - 3.0), kind, chance.randrange(1000), lasts_s, chance.random()
    )


def _tree(chance: Random, name: str) -> list[Any]:
    branches = [_leaf(chance, f"{name}.{number}") for number in range(chance.choice((1, 2, 3, 4)))]
    if len(branches) == 1:
        return branches[0]
    if len(branches) == 4:
        half = ["concurrence", branches[1:3]]
        return ["sequence", [branches[0], half, branches[3]]]
    return [chance.choice(("sequence", "concurrence")), branches]


def _leaf(chance: Random, name: str) -> list[Any]:
    takes_s = chance.choice((0.001, 0.05, 0.5, 2.0, 4.0)) * chance.uniform(0.5, 1.5)
    kind = chance.choices(
        (
            "Works",
            "WorksAgain",
            "pair",
            "Fails",
            "FailsAtFirst",
            "Listens",
            "Sleeps",
            "Triggers",
            "Finalizes",
        ),
        (6, 4, 3, 1, 2, 3, 1, 1, 2),
    )[0]
    if kind == "pair":
        first = [chance.choice(("Works", "WorksAgain")), {"name": name, "takes_s": takes_s}]
        return ["pair", [first, {"takes_s": takes_s}]]
    if kind == "FailsAtFirst":
        return [kind, {"takes_s": takes_s, "times": chance.choice((1, 2))}]
    if kind == "Listens":
        return [kind, {"takes_s": min(takes_s, 0.3), "events": chance.choice((1, 2, 3))}]
    if kind == "Sleeps":
        return [kind, {"sleeps_s": chance.uniform(0.2, 3.0)}]
    if kind == "Triggers":
        return [kind, {"name": name, "children": 2, "takes_s": min(takes_s, 0.3)}]
    if kind in ("Fails", "Finalizes"):
        return [kind, {"takes_s": takes_s}]
    return [kind, {"name": name, "takes_s": takes_s}]
