"""Pure Python that keeps one processor busy, and how long it takes when each of several processes runs it.

``python -m bench.spin ROUNDS REPEATS`` says ``ready``, waits for a line, and answers with the seconds it took.
"""

from __future__ import annotations

import subprocess
import sys
from select import select
from time import perf_counter

DEADLINE_S = 120.0


def spin(rounds: int) -> int:
    """``rounds`` turns of a loop that touches nothing but local numbers."""
    total = 0
    for number in range(rounds):
        total = (total * 31 + number) & 0xFFFF
    return total


def seconds_each(processes: int, rounds: int, repeats: int) -> float:
    """Seconds of one :func:`spin` when that many processes run it ``repeats`` times at the same moment."""
    command = [sys.executable, "-m", "bench.spin", str(rounds), str(repeats)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        for _ in range(processes)
    ]
    try:
        for process in started:
            line_of(process)
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
        taken = [float(line_of(process)) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return sum(taken) / len(taken) / repeats


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line it prints; every line is read before the next is asked for."""
    assert process.stdout is not None
    if not select([process.stdout], [], [], DEADLINE_S)[0]:
        raise TimeoutError(f"a process that spins said nothing within {DEADLINE_S:g} s")
    return process.stdout.readline()


def main(rounds: int, repeats: int) -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    began = perf_counter()
    for _ in range(repeats):
        spin(rounds)
    print(perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
