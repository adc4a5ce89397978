"""Many seeds on all cores, and what came of them, counted."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count, islice
from multiprocessing import get_context

from tests.simulation.simulation import Result, simulate

_CHUNK = 5


@dataclass
class Summary:
    """Of a campaign."""

    seeds: int = 0
    virtual_s: float = 0.0
    plans: int = 0
    starts: int = 0
    commits: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    failed: list[Result] = field(default_factory=list)
    spent_s: float = 0.0

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.virtual_s += result.virtual_s
        self.plans += result.plans
        self.starts += result.starts
        self.commits += result.commits
        self.faults.update({kind: number for kind, number in result.faults.items() if number})
        if result.violations:
            self.failed.append(result)

    def lines(self) -> Iterator[str]:
        """For people."""
        yield (
            f"{self.seeds:,} seeds, {self.virtual_s / 3600:.1f} virtual hours in {self.spent_s:.0f} s "
            f"({self.seeds / max(self.spent_s, 1e-9):.1f} seeds/s): {self.plans:,} plans, {self.starts:,} calls of steps, "
            f"{self.commits:,} commits"
        )
        yield "faults: " + ", ".join(f"{number:,} × {kind}" for kind, number in sorted(self.faults.items()))
        yield f"seeds with violations: {len(self.failed)}"
        for result in self.failed:
            yield f"seed {result.seed}  (python -m tests.simulation --seed {result.seed} --trace)"
            for violation in result.violations[:6]:
                yield f"    {violation}"


def simulate_many(
    seeds: Iterable[int], *, jobs: int | None = None, until_s: float | None = None, mutant: str | None = None
) -> Summary:
    """Simulate these seeds, for ``until_s`` seconds at most; with a ``mutant`` up to the first that catches it."""
    begun = time.monotonic()
    summary = Summary()
    taken = iter(seeds)
    chunks = iter(lambda: list(islice(taken, _CHUNK)), [])
    jobs = jobs or os.cpu_count() or 1

    def goes_on() -> bool:
        out_of_time = until_s is not None and time.monotonic() - begun >= until_s
        return not out_of_time and not (mutant is not None and summary.failed)

    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        out: set[Future[list[Result]]] = set()
        for chunk in islice(chunks, 2 * jobs):
            out.add(pool.submit(_simulate_chunk, chunk, mutant, _time_left(begun, until_s)))
        while out:
            done, out = wait(out, return_when=FIRST_COMPLETED)
            for future in done:
                for result in future.result():
                    summary.add(result)
                if goes_on() and (chunk := next(chunks, [])):
                    out.add(pool.submit(_simulate_chunk, chunk, mutant, _time_left(begun, until_s)))
    summary.spent_s = time.monotonic() - begun
    return summary


def _time_left(begun: float, until_s: float | None) -> float | None:
    return None if until_s is None else begun + until_s


def _simulate_chunk(seeds: list[int], mutant: str | None, ends_at: float | None) -> list[Result]:
    from tests.simulation.mutants import MUTANTS

    found = next((one for one in MUTANTS if one.name == mutant), None)
    results: list[Result] = []
    for seed in seeds:
        if ends_at is not None and time.monotonic() >= ends_at:
            break
        if found is None:
            results.append(simulate(seed))
            continue
        results.append(found.simulate(seed))
        if results[-1].violations:
            results[-1].clean = not found.simulate_without(seed).violations
            break
    return results


def from_seed(first: int) -> Iterator[int]:
    """All seeds from this one on."""
    return count(first)


Say = Callable[[str], None]


def hunt_mutants(most: int, say: Say, jobs: int | None = None, only: str | None = None) -> list[str]:
    """Look for a seed that catches each mutant among the first ``most``, and record it; who got away."""
    from tests.simulation.mutants import MUTANTS, record

    away: list[str] = []
    for mutant in MUTANTS:
        if only is not None and mutant.name != only:
            continue
        summary = simulate_many(range(1, most + 1), jobs=jobs, mutant=mutant.name)
        if not summary.failed:
            away.append(mutant.name)
            say(f"{mutant.name:<22} NOT caught in {summary.seeds:,} seeds ({summary.spent_s:.0f} s)")
            continue
        caught = min(summary.failed, key=lambda result: result.seed)
        if not caught.clean:
            away.append(mutant.name)
            say(f"seed {caught.seed} is not clean with nothing taken out either: look at that first")
            continue
        record(mutant.name, caught.seed)
        say(f"{mutant.name:<22} seed {caught.seed:<5} {caught.violations[0][:120]}")
    return away
