"""The engine without one of its mechanisms is caught by the seed that is recorded for it; with it, that seed is clean."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(500)
def test_every_recorded_seed_catches_its_mutant_and_nothing_else():
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--recorded"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=450,
        check=False,
    )

    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " recorded seeds, 0 wrong" in done.stdout
