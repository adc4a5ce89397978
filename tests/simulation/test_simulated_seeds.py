"""Whole worlds in virtual time: as many seeds as there is time for. See docs/simulation.md."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = float(os.environ.get("SIMULATION_SECONDS", "60"))
"""How long seeds are simulated, in one process."""
ROOT = Path(__file__).parents[2]


def simulation(*arguments, timeout_s):
    """A process of its own: the order of sets is a seed's, too, and the engine is given another time."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.mark.timeout(SECONDS + 400)
def test_g2_g3_g4_g5_g8_g9_g10_g11_g12_g31_g32_hold_in_every_seed():
    done = simulation("--seconds", SECONDS, "--jobs", 1, timeout_s=SECONDS + 300)

    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 seeds" not in f" {done.stdout}", "not one seed was simulated"


@pytest.mark.timeout(200)
def test_a_seed_says_everything_about_a_simulation():
    first = simulation("--seed", 7, "--trace", timeout_s=90)
    again = simulation("--seed", 7, "--trace", timeout_s=90)

    assert first.returncode == 0, first.stdout + first.stderr
    assert "BEGINS step" in first.stdout
    assert again.stdout == first.stdout
