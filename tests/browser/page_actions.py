"""Actions whose plans the console's pages are looked at with: quick ones, slow ones, failing, waiting, hostile, large ones."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from dynflow_mp import Action, Cancellable, Singleton, WithSubPlans

HOSTILE = "<script>document.title='broken'</script><img src=x onerror=alert(1)>"


class Fetch(Action):
    """Quick, with something to read."""

    def run(self) -> None:
        self.output["bytes"] = len(str(self.input.get("url", "")))


class Unpack(Action):
    """Fails while its file is not there, and says where it looked."""

    def run(self) -> None:
        if not Path(self.input["file"]).exists():
            raise FileNotFoundError(f"no file {self.input['file']} after {len(self.input['file'])} tries")
        self.output["unpacked"] = True


class Publish(Action):
    """Needs what was unpacked, and has a finalize step."""

    def run(self) -> None:
        self.output["published"] = self.input.get("name")

    def finalize(self) -> None:
        self.output["told"] = True


class Release(Action):
    """Fetches at the same time, then unpacks, then publishes."""

    def plan(self, name: str, file: str, password: str = "hunter2-hunter2") -> None:
        with self.sequence():
            with self.concurrence():
                self.plan_action(Fetch, url=f"https://example.com/{name}/a")
                self.plan_action(Fetch, url=f"https://example.com/{name}/b")
                with self.sequence():
                    self.plan_action(Fetch, url=f"https://example.com/{name}/c")
                    self.plan_action(Fetch, url=f"https://example.com/{name}/d")
            self.plan_action(Unpack, file=file, password=password, number=1)
            self.plan_action(Publish, name=name)

    def label(self) -> str:
        return f"Release of {self.input.get('name', 'a package')}"


class NamedRelease(Release):
    """Says what it is called."""

    def plan(self, name: str, file: str, password: str = "hunter2-hunter2") -> None:
        self.plan_self(name=name)
        super().plan(name, file, password)


class Slow(Cancellable, Action):
    """Takes as long as the file is not there; tells how far it is, prints, writes pieces of output."""

    def run(self, event: Any = None) -> None:
        print("begun", flush=True)
        self.output_chunk("a first piece")
        for tick in range(3_000):
            if Path(self.input["until"]).exists():
                return
            if tick % 10 == 0:
                self.report_progress(min(0.9, tick / 100))
            time.sleep(0.02)
        self.error("nobody came")

    def cancel(self) -> None:
        self.output["cancelled"] = True


def fail_once_then_wait(action: Any) -> None:
    """Then it takes as long as the action's file is not there."""
    tried = Path(f"{action.input['until']}-{action.execution_plan_id}")
    if not tried.exists():
        tried.touch()
        action.error("not at once")
    while not Path(action.input["until"]).exists():
        time.sleep(0.02)


class Stubborn(Action):
    """Fails the first time."""

    def run(self) -> None:
        fail_once_then_wait(self)


class Hesitant(Cancellable):
    """Fails the first time, and the second time it can be cancelled."""

    def run(self, event: Any = None) -> None:
        fail_once_then_wait(self)


class Waits(Cancellable):
    """Suspends until it is sent an event."""

    def run(self, event: Any = None) -> None:
        if event is None:
            self.suspend()
        elif event in ("cancel", "abort"):
            self.cancel()
        else:
            self.output["event"] = event

    def cancel(self) -> None:
        self.output["cancelled"] = True


class Dies(Action):
    """Its worker is killed under it."""

    def run(self) -> None:
        print("my last words", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


class Hostile(Action):
    """All it says is an attack, or too much."""

    def run(self) -> None:
        self.output.update(script=HOSTILE, binary=b"\x00\xff\xfe<script>" * 400, long="x" * 60_000)
        self.output_chunk(HOSTILE)
        raise ValueError(HOSTILE + "y" * 1_000_000)

    def label(self) -> str:
        return HOSTILE


class Parent(WithSubPlans):
    """Triggers two plans."""

    def create_sub_plans(self) -> Any:
        return [self.trigger(Fetch, url=f"https://example.com/{number}") for number in range(2)]


class Alone(Singleton):
    """Holds a lock while its file is not there."""

    def run(self) -> None:
        while not Path(self.input["until"]).exists():
            time.sleep(0.02)


class Wide(Action):
    """Very many steps: groups of a hundred at the same time, one group after the other."""

    def plan(self, steps: int) -> None:
        with self.sequence():
            for first in range(0, steps, 100):
                with self.concurrence():
                    for number in range(first, min(first + 100, steps)):
                        self.plan_action(Fetch, url=str(number))


class Large(Action):
    """Is planned and never run: groups of a thousand within groups."""

    def plan(self, steps: int) -> None:
        with self.concurrence():
            for first in range(0, steps, 1_000):
                with self.sequence():
                    for number in range(first, min(first + 1_000, steps)):
                        self.plan_action(Fetch, url=str(number))
