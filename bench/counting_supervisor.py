"""The supervisor program as it is, with its database traffic counted.

Every line on standard input is answered with one JSON object on standard output: the counts so far.
"""

from __future__ import annotations

import json
import sys
from threading import Thread

from bench.counting import Counts
from dynflow_mp.supervisor import main


def answer(counts: Counts) -> None:
    for _ in sys.stdin:
        print(json.dumps(counts.so_far()), flush=True)


if __name__ == "__main__":
    counting = Counts()
    counting.install()
    Thread(target=answer, args=(counting,), daemon=True).start()
    main()
