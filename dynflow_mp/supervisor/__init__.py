"""``python -m dynflow_mp.supervisor``: an executor world as a program.

    start ─▶ ready line ─▶ … ─▶ SIGTERM/SIGINT/SIGHUP: drain ─▶ exit 0
      └─ a signal before that: stop at once ─▶ exit 0        a second one: stop at once

Exit status: 0 after a clean end, 1 when something broke or not all had ended in time, 2 for wrong options, an
unusable database or an application that cannot be imported, 75 when another world declared this one dead or its
SQLite file was removed. A service manager is told what happens (``service_manager``); as process 1 of a container
the program reaps what steps leave behind (``orphans``).
"""

from __future__ import annotations


def main() -> None:
    """Run the program; does not return."""
    # Not imported at the top: until the program has its signal handlers, the less there is to do the better.
    from dynflow_mp.supervisor.options import main

    main()
