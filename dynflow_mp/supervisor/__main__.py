"""The first lines of the program: a Ctrl-C while it is still being imported is no traceback."""

from __future__ import annotations

import signal

from dynflow_mp.supervisor import main

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main()
