"""``python -m chaos``: kill worlds at random and count. Exit status 0 only if nothing was lost, doubled or stuck."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
from pathlib import Path

import databases

from chaos.campaign import Campaign, Goals


def main() -> int:
    """Run one campaign on each database named."""
    given = _arguments()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # so that no process of the campaign outlives it
    seed = random.SystemRandom().randrange(10**9) if given.seed is None else given.seed
    goals = Goals(
        given.worker_kills,
        given.supervisor_kills,
        given.client_kills,
        given.stops,
        given.drains,
        given.minutes,
    )
    well = True
    for kind in given.database or [databases.SQLITE]:
        well &= _campaign(kind, seed, goals, given)
    return 0 if well else 1


def _campaign(kind: str, seed: int, goals: Goals, given: argparse.Namespace) -> bool:
    directory = Path(given.artefacts) / f"{kind}-{seed}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with databases.fresh_database(kind, directory) as url:
        campaign = Campaign(
            url,
            directory.absolute(),
            seed,
            goals,
            supervisors=given.supervisors,
            say=_say if given.verbose else _nothing,
        )
        report = campaign.run()
    print(report, flush=True)
    if report.well:
        shutil.rmtree(directory)
    else:
        again = (
            " ".join(sys.argv[1:]) if given.seed is not None else f"--seed {seed} {' '.join(sys.argv[1:])}"
        )
        print(f"again with: PYTHONPATH=tests:. python -m chaos {again}\nkept: {directory}", flush=True)
    return report.well


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, help="chance's beginning; another one each time if it is not given"
    )
    parser.add_argument("--worker-kills", "--workers-kills", type=int, default=500, metavar="N")
    parser.add_argument("--supervisor-kills", type=int, default=30, metavar="N")
    parser.add_argument("--client-kills", type=int, default=10, metavar="N")
    parser.add_argument(
        "--stops", type=int, default=50, metavar="N", help="processes that stand still for a while"
    )
    parser.add_argument(
        "--drains", type=int, default=5, metavar="N", help="supervisors that are asked to end"
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="kill no longer than that")
    parser.add_argument("--supervisors", type=int, default=2, metavar="N")
    parser.add_argument("--database", action="append", choices=databases.KINDS, help="may be repeated")
    parser.add_argument("--artefacts", default="build/chaos", help="where what there is to look at is kept")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def _leave(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _nothing(text: str) -> None:
    """Quiet."""


if __name__ == "__main__":
    sys.exit(main())
