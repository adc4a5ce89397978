"""Plans one plan after the other and writes down, for good, the id of each that it was told is stored.

``python planning_program.py <database url> <file>``: until it is killed, or its database is.
"""

import os
import sys

from engine_actions import Noop

from dynflow_mp import World
from dynflow_mp.errors import PersistenceError


def main(database_url, path):
    world = World(database_url=database_url)
    told = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    number = 0
    while True:
        number += 1
        try:
            # Every other one is also to be run.
            plan = world.trigger(Noop) if number % 2 else world.plan(Noop)
        except PersistenceError:
            os._exit(1)
        os.write(told, f"{plan.id}\n".encode())
        os.fsync(told)


if __name__ == "__main__":
    main(*sys.argv[1:])
