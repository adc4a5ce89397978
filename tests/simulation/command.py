"""The command line of the simulation."""

from __future__ import annotations

import argparse
from functools import partial
from itertools import islice

from tests.simulation.campaign import from_seed, hunt_mutants, simulate_many
from tests.simulation.mutants import MUTANTS
from tests.simulation.simulation import simulate

_say = partial(print, flush=True)
_NEAR = 40


def run(arguments: list[str]) -> int:
    """The program's exit code: 1 when something does not hold."""
    given = _parser().parse_args(arguments)
    if given.seed is not None:
        return _one(given)
    if given.recorded:
        return _recorded()
    if given.hunt:
        return bool(hunt_mutants(given.seeds or 2000, _say, given.jobs, given.mutant))
    seeds = from_seed(given.first)
    if given.seeds is not None:
        seeds = islice(seeds, given.seeds)
    elif given.seconds is None:
        seeds = islice(seeds, 1000)
    summary = simulate_many(seeds, jobs=given.jobs, until_s=given.seconds, mutant=given.mutant)
    for line in summary.lines():
        _say(line)
    return bool(summary.failed)


def _one(given: argparse.Namespace) -> int:
    trace = _say if given.trace else None
    mutant = next((one for one in MUTANTS if one.name == given.mutant), None)
    result = simulate(given.seed, trace=trace) if mutant is None else mutant.simulate(given.seed, trace)
    for violation in result.violations:
        _say(f"VIOLATION {violation}")
    _say(
        f"seed {result.seed}: {result.virtual_s:.1f} virtual seconds, {result.plans} plans, {result.starts} calls of steps, "
        f"{result.commits} commits, {result.switches} switches; {dict(result.faults)}"
    )
    return bool(result.violations)


def _recorded() -> int:
    """Each mutant from its recorded seed on: caught soon; and the engine as it is with the same seed: clean.

    A change of the engine makes other stories of all seeds, so a few more than the recorded one are tried.
    """
    wrong = 0
    for mutant in MUTANTS:
        if mutant.seed is None:
            continue
        near = range(mutant.seed, mutant.seed + _NEAR)
        caught = next((seed for seed in near if mutant.simulate(seed).violations), None)
        if caught is None:
            wrong += 1
            _say(f"{mutant.name}: not caught from seed {mutant.seed} on; make simulate-mutants finds another")
        elif found := mutant.simulate_without(caught).violations:
            wrong += 1
            _say(f"seed {caught}, with nothing taken out: {found}")
        else:
            _say(f"{mutant.name}: caught by seed {caught}")
    _say(f"{sum(mutant.seed is not None for mutant in MUTANTS)} recorded seeds, {wrong} wrong")
    return bool(wrong)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description="Worlds in virtual time, from seeds."
    )
    parser.add_argument("--seed", type=int, help="only this seed")
    parser.add_argument("--trace", action="store_true", help="with --seed: print what happens")
    parser.add_argument("--first", type=int, default=1, help="the first of many seeds (1)")
    parser.add_argument("--seeds", type=int, help="how many (1,000 unless --seconds is given)")
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--jobs", type=int, help="processes (one for each core)")
    parser.add_argument(
        "--mutant", choices=[mutant.name for mutant in MUTANTS], help="take this mechanism out"
    )
    parser.add_argument("--hunt", action="store_true", help="find a seed that catches each mutant")
    parser.add_argument(
        "--recorded", action="store_true", help="each mutant with the seed that is recorded for it"
    )
    return parser
