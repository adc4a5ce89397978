"""The bare loop's way to its first answer: says ``done`` when one step has been stored as done."""

from __future__ import annotations

import sys

from bench.ceiling import Loop, insert_rows, open_engine, started_workers, steps


def main(url: str) -> None:
    engine = open_engine(url)
    steps.create(engine)
    with engine.connect() as connection, started_workers() as (socket, workers):
        insert_rows(connection, 1)
        Loop(connection, socket, workers).chain(1)
        print("done", flush=True)
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1])
