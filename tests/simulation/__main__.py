"""python -m tests.simulation: seeds, one with its trace, or many."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """The order of sets must not depend on the process: begin again with a fixed one."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    from tests.simulation.command import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
