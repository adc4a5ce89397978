"""Actions of the example ``retries``: a service that answers only now and then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynflow_mp import Action, Retry, Skip


class Service:
    """A service outside: it fails as often as it is told to. What it was asked is kept in a file."""

    def __init__(self, log: str) -> None:
        self._log = Path(log)

    def ask(self, what: str, fails: int) -> str:
        """Answer, unless this has not been asked often enough yet."""
        with self._log.open("a") as log:
            log.write(f"{what}\n")
        asked = self._log.read_text().splitlines().count(what)
        if asked <= fails:
            raise ConnectionError(f"no answer for {what} (asked {asked} times)")
        return f"{what}: answered at the {asked}. try"


class Fetch(Action):
    """Asks the service, up to four times: after 0.1, 0.2 and 0.4 seconds, a tenth more or less."""

    retry = Retry(max_attempts=4, backoff_s=0.1, factor=2, jitter=0.1, on=ConnectionError)

    def run(self) -> None:
        self.output["answer"] = Service(self.input["log"]).ask(self.input["what"], self.input["fails"])


class Thumbnail(Action):
    """Nice to have: where it cannot be made, the plan goes on without, and ``run`` is told so."""

    rescue_strategy = Skip

    def run(self, event: Any = None) -> None:
        if event is Skip:
            self.output["picture"] = "a grey square"
        else:
            raise OSError("the converter is not installed")


class Publish(Action):
    """Needs what was fetched."""

    def run(self) -> None:
        self.output["published"] = self.input["answers"]


class Page(Action):
    """A page of what the service says about some subjects (each with how often it fails before it answers)."""

    def plan(self, log: str, subjects: dict[str, int], thumbnail: bool = True) -> None:
        with self.sequence():
            fetched = [self.plan_action(Fetch, log=log, what=what, fails=n) for what, n in subjects.items()]
            if thumbnail:
                self.plan_action(Thumbnail)
            for fetch in fetched:
                self.plan_action(Publish, answers=fetch.output["answer"])
