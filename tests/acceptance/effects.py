"""What steps did, as they say it themselves, outside any database; and actions that say it."""

import os
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from dynflow_mp import Action

_TICK_S = 0.01


class Ticking(Action):
    """Says many times a second that it runs, until the file ``until`` is there. Whoever takes it over runs it again."""

    idempotent = True

    def run(self):
        with open(self.input["log"], "a", buffering=1) as log:
            while not os.path.exists(self.input["until"]):
                log.write(f"{self.input['name']} {os.getpid()} {time.monotonic()}\n")
                time.sleep(_TICK_S)
            log.write(f"{self.input['name']} {os.getpid()} {time.monotonic()}\n")


class TickingOnce(Ticking):
    """One that must not run twice by itself."""

    idempotent = False


class LongAndShort(Action):
    """Two steps at once: one without an end, and one until the file is there."""

    def plan(self, log, until):
        self.plan_action(TickingOnce, name="long", log=log, until=f"{until}-never")
        self.plan_action(TickingOnce, name="short", log=log, until=until)


class Interval(Action):
    """Says many times a second that it runs, for some time. Whoever takes it over runs it again, as often as need be."""

    idempotent = True

    def run(self):
        ends = time.monotonic() + self.input["seconds"]
        with open(self.input["log"], "a", buffering=1) as log:
            while (now := time.monotonic()) < ends:
                log.write(f"{self.input['plan']}/{self.input['number']} {os.getpid()} {now}\n")
                time.sleep(_TICK_S)


class SeveralIntervals(Action):
    def plan(self, count, **kwargs):
        with self.sequence():
            for number in range(count):
                self.plan_action(Interval, number=number, **kwargs)


class Times(NamedTuple):
    """One process was at a step from its first word to its last."""

    pid: int
    first: float
    last: float


def runs_of(log, name):
    """Who was at a step, and when, in the order of their beginnings."""
    said = {}
    for line in lines(log):
        step, pid, at = line.split()
        if step == name:
            said.setdefault(int(pid), []).append(float(at))
    return sorted((Times(pid, min(at), max(at)) for pid, at in said.items()), key=lambda run: run.first)


def lines(log):
    try:
        return [line for line in Path(log).read_text().splitlines() if line.count(" ") == 2]
    except FileNotFoundError:
        return []


def overlaps(log, name):
    """Pairs of processes that were at one step at the same time."""
    return [(one, next_) for one, next_ in pairwise(runs_of(log, name)) if next_.first <= one.last]
