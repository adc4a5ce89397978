"""One at a time: a singleton action, and unique keys that raise, return or replace. Run it::

    python -m examples.singletons

It starts a world of its own, with two workers and a database in a temporary directory, and says what it shows.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from dynflow_mp import Action, OnConflict, PlanningFailed, Singleton, Triggered, UniqueKeyTaken, World


class Backup(Singleton):
    """Two of it at the same time would be in each other's way."""

    def run(self) -> None:
        wait_for(self.input["until"])


class Invoice(Action):
    """An order has one invoice: whoever asks for it again is told that there is one on its way."""

    unique_key = "invoice-{order}"

    def run(self) -> None:
        wait_for(self.input["until"])
        self.output["number"] = f"I-{self.input['order']}"


class Newsletter(Action):
    """Only the latest text is to be sent."""

    unique_key = "newsletter"
    unique_mode = OnConflict.REPLACE

    def run(self) -> None:
        self.output["sent"] = self.input["text"]


def wait_for(path: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not Path(path).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not come")
        time.sleep(0.01)


def one_backup_at_a_time(world: World, directory: Path) -> None:
    until = directory / "backup may end"
    first = world.trigger(Backup, until=str(until))
    second = world.trigger(Backup, until=str(until))
    assert isinstance(first, Triggered)
    assert isinstance(second, PlanningFailed)
    print(f"the second backup was refused: {second.error}")
    until.touch()
    print(f"the first ended with {first.finished.result(60).result}")
    third = world.trigger(Backup, until=str(until))
    assert isinstance(third, Triggered)
    print(f"now another may run: {third.finished.result(60).result}")
    print(f"locked: {Backup.singleton_locked(world)}")


def one_invoice_for_an_order(world: World, directory: Path) -> None:
    until = directory / "invoice may end"
    first = world.trigger(Invoice, order=7, until=str(until))
    assert isinstance(first, Triggered)
    try:
        world.trigger(Invoice, order=7, until=str(until))
    except UniqueKeyTaken as error:
        print(
            f"a second invoice was refused: {error.key} is held by the first plan: {error.plan_id == first.id}"
        )
    again = world.trigger_with_options(
        Invoice, kwargs={"order": 7, "until": str(until)}, on_conflict=OnConflict.RETURN
    )
    assert isinstance(again, Triggered)
    print(f"asked to return it, the same plan comes back: {again.id == first.id}")
    until.touch()
    print(f"both get {again.finished.result(60).entry_action.output['number']}")


def the_latest_newsletter(world: World) -> None:
    draft = world.plan(Newsletter, text="draft")
    final = world.trigger(Newsletter, text="final")
    assert isinstance(final, Triggered)
    print(f"sent: {final.finished.result(60).entry_action.output['sent']}")
    print(f"the draft was {world.persistence.load_execution_plan(draft.id).execution_history[-1].name}")


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as name,
        World(database_url=f"sqlite:///{name}/singletons.db", workers=2) as world,
    ):
        one_backup_at_a_time(world, Path(name))
        one_invoice_for_an_order(world, Path(name))
        the_latest_newsletter(world)


if __name__ == "__main__":
    main()
