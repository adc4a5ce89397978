"""``python -m bench.watched``: what a console that somebody looks at costs a workload, as a ratio of runs with it to runs without, in turns.

Ratio 1.00 is no cost at all. Who looks is a program that does what the page of plans does in a browser: it listens to
the feed and asks for its table whenever that says something is new. A browser's own drawing is not measured.
"""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

import click

from bench import databases, site
from bench.pairs import compared, paired
from bench.product import Supervisor, run_client
from bench.workloads import WORKLOADS

CLIENT_S = 900.0
READY_S = 30.0
STOP_S = 15.0
_ANSWER_S = 30.0


class Onlooker:
    """A console process, and one who looks at its list of plans. A context manager."""

    def __init__(self, url: str) -> None:
        command = [sys.executable, "-m", "dynflow_mp.cli", "console", "--database", url, "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.asked = 0
        """How often the table was asked for."""
        self._left = threading.Event()

    def __enter__(self) -> Onlooker:
        assert self.process.stdout is not None
        try:
            if not select.select([self.process.stdout], [], [], READY_S)[0]:
                raise TimeoutError(f"the console said nothing within {READY_S:g} s")
            found = re.search(r"url=(\S+)", self.process.stdout.readline())
            if found is None:
                raise RuntimeError("the console did not start")
            page = self._get(found[1] + "plans", whole=True).decode()
            origin = found[1].rstrip("/")
            self._table = _link(page, r'hx-get="([^"]+)"', origin)
            self._feed = _link(page, r'sse-connect="([^"]+)"', origin)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self._looking = threading.Thread(target=self._look, daemon=True)
        self._looking.start()
        return self

    def _look(self) -> None:
        try:
            with urlopen(self._feed, timeout=_ANSWER_S) as feed:
                for line in feed:
                    if line.startswith(b"event: plans") and not self._left.is_set():
                        self._get(self._table)
                        self.asked += 1
        except OSError:
            if not self._left.is_set():
                raise

    def _get(self, url: str, whole: bool = False) -> bytes:
        headers = {} if whole else {"HX-Request": "true"}
        with urlopen(Request(url, headers=headers), timeout=_ANSWER_S) as answer:
            data: bytes = answer.read()
            return data

    def __exit__(self, *exception: object) -> None:
        self._left.set()
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self._looking.join(STOP_S)


def _link(page: str, pattern: str, origin: str) -> str:
    found = re.search(pattern, page)
    if found is None:
        raise RuntimeError(f"the page of plans has no {pattern}")
    link = found[1].replace("&amp;", "&")
    return link if link.startswith("http") else origin + link


@contextmanager
def _looked_at(url: str, watched: bool) -> Iterator[Onlooker | None]:
    if not watched:
        yield None
        return
    with Onlooker(url) as onlooker:
        yield onlooker


def once(workload: str, size: int, here: site.Site, database: str, watched: bool) -> tuple[float, int]:
    """One run on a fresh database: its value, and how often the table was asked for."""
    with (
        databases.fresh(database, here) as url,
        Supervisor(url, 2),
        _looked_at(url, watched) as onlooker,
    ):
        value = float(run_client(workload, url, size, False, CLIENT_S)["value"])
        return value, 0 if onlooker is None else onlooker.asked


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("workloads", nargs=-1, type=click.Choice(["fan_out", "chain", "many_plans"]))
@click.option("--database", default="sqlite", show_default=True)
@click.option("--runs", default=5, show_default=True, type=click.IntRange(1), help="Pairs of runs.")
@click.option("--size", type=click.IntRange(1), help="Steps or plans, instead of each workload's own.")
def main(workloads: tuple[str, ...], database: str, runs: int, size: int | None) -> None:
    """Run WORKLOADS (fan_out and many_plans) with and without somebody at the console; one JSON object per line."""
    with site.opened() as here:
        for name in workloads or ("fan_out", "many_plans"):
            click.echo(json.dumps(in_turns(name, size, here, databases.url_of(database), runs)))


def in_turns(name: str, size: int | None, here: site.Site, database: str, runs: int) -> dict[str, Any]:
    """A workload watched and alone."""
    number_of = WORKLOADS[name].size if size is None else size
    pairs = paired(lambda watched: once(name, number_of, here, database, watched), runs)
    values = [(watched[0], alone[0]) for watched, alone in pairs]
    told = compared(name, number_of, database, ("watched", "alone"), values)
    return {**told, "asked": [asked for (_, asked), _ in pairs]}


if __name__ == "__main__":
    main()
