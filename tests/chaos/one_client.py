"""A client that does as it is told: each line on standard input is a plan to trigger; says what becomes of it.

<plan id> ─▶ triggered <plan id> │ refused <error> … ended <plan id> <state> <result>
"""

from __future__ import annotations

import sys

from chaos.actions import Pair
from dynflow_mp import World


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main(url: str) -> None:
    with World(database_url=url) as world:
        say("ready")
        for line in sys.stdin:
            plan_id = line.strip()
            try:
                triggered = world.trigger_with_options(Pair, id=plan_id)
            except Exception as error:
                say("refused", type(error).__name__)
                continue
            say("triggered", plan_id)
            plan = triggered.finished.result(60)
            say("ended", plan_id, plan.state, plan.result)


if __name__ == "__main__":
    main(sys.argv[1])
