"""The command line of the simulation."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.simulation import simulate


def run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seed", type=int, help="only this seed")
    parser.add_argument("--trace", action="store_true", help="print what happens")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args(arguments)
    if given.seed is not None:
        result = simulate(given.seed, trace=print if given.trace else None)
        print(result)
        return bool(result.violations)
    begun = time.perf_counter()
    bad = 0
    virtual = 0.0
    for seed in range(given.first, given.first + given.seeds):
        result = simulate(seed)
        virtual += result.virtual_s
        if result.violations:
            bad += 1
            print(f"seed {seed}:", *result.violations, sep="\n   ")
            sys.stdout.flush()
    spent = time.perf_counter() - begun
    print(
        f"{given.seeds} seeds in {spent:.1f} s, {given.seeds / spent:.1f}/s, {virtual / 3600:.2f} virtual hours, {bad} bad"
    )
    return bool(bad)
