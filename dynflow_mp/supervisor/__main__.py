"""The first lines of the program: a signal while it is still being imported ends it, without a traceback."""

from __future__ import annotations

import os
import signal

from dynflow_mp.supervisor import main


def prepare() -> None:
    """Have a signal end the program while there is nothing yet that it could end in order."""
    if os.getpid() != 1:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        return
    # The kernel keeps from process 1 of a container what it has no handler for.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: os._exit(0))


if __name__ == "__main__":
    prepare()
    main()
