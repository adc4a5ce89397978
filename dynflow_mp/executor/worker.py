"""A worker process: ``python -m dynflow_mp.executor.worker FD``.

It has no database and no engine state: a job brings all it needs, an outcome brings all back. This
file only ties the process to its supervisor, before anything that takes time is imported; the rest
of the way is in :mod:`dynflow_mp.executor.boot`.
"""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


def main() -> None:
    """Be a worker; the settings are read from the descriptor named on the command line."""
    tie_to_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the supervisor
    from dynflow_mp.executor.boot import Boot, read_settings

    Boot(read_settings(int(sys.argv[1]))).run()


def tie_to_parent() -> None:
    """Have the kernel kill us when the thread that started us ends (Linux)."""
    if sys.platform == "linux":
        system = ctypes.CDLL(None)
        system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        system.prctl(_PR_SET_NAME, b"dynflow worker", 0, 0, 0)


if __name__ == "__main__":
    main()
