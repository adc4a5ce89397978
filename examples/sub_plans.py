"""One plan that has its work done by plans of their own: never more than so many at once, each one watched by itself.

    Book ── trigger ──▶ Page 1 … Page n               each a plan: stored with the step that triggered it,
      │                   │                         run by any worker, paused, mended and resumed by itself
      └─── suspended ◀────┘ "something has ended"
            holds no worker

``python -m examples.sub_plans`` renders the pages of a book, a page a plan, with a concurrency limit. One page
fails at first: its plan pauses, the others go on, and the book, when all have ended, pauses too. The page is mended and
resumed, then the book: only what had failed is done again.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from dynflow_mp import Action, ExecutionPlan, Triggered, WithSubPlans, World

FINISHED_S = 60.0
LOOK_S = 0.01


class Book(WithSubPlans):
    """A plan for each page, and no more than ``at_once`` of them at the same time."""

    def plan(self, pages: int, at_once: int, desk: str) -> None:
        self.limit_concurrency_level(at_once)
        self.plan_self(pages=pages, desk=desk)

    def create_sub_plans(self) -> None:
        for number in range(1, self.input["pages"] + 1):
            self.trigger(Page, number=number, desk=self.input["desk"])

    def on_finish(self) -> None:
        self.output["bound"] = True


class Page(Action):
    """Leaves a file on the desk while it is rendered; a page whose ink is missing cannot be."""

    def run(self) -> None:
        desk, number = Path(self.input["desk"]), self.input["number"]
        if (desk / f"no ink for {number}").exists():
            raise FileNotFoundError(f"there is no ink for page {number}")
        under_way = desk / f"page {number}"
        under_way.touch()
        time.sleep(0.1)
        self.output["at_once"] = len(list(desk.glob("page *")))
        under_way.unlink()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--pages", default=12, show_default=True, type=click.IntRange(3))
@click.option(
    "--at-once", default=3, show_default=True, type=click.IntRange(1), help="Pages rendered at once."
)
@click.option("--workers", default=4, show_default=True, type=click.IntRange(1))
def main(pages: int, at_once: int, workers: int) -> None:
    """A book whose pages are sub-plans, with a concurrency limit."""
    with tempfile.TemporaryDirectory(prefix="dynflow-sub-plans-") as directory:
        desk = Path(directory) / "desk"
        desk.mkdir()
        missing = desk / "no ink for 2"
        missing.touch()
        with World(database_url=f"sqlite:///{directory}/plans.db", workers=workers) as world:
            book = render(world, pages, at_once, desk)
            say("at first", book)
            (page,) = [plan for plan in book.sub_plans() if plan.state == "paused"]
            click.echo(f"page {page.entry_action.input['number']} failed: {page.errors[0].message}")

            missing.unlink()
            world.execute(page.id).result(FINISHED_S)
            book = world.execute(book.id).result(FINISHED_S)
            say("mended", book)
            together = max(plan.entry_action.output["at_once"] for plan in book.sub_plans())
            click.echo(
                f"{book.sub_plans_count} pages, never more than {together} at once; bound: {is_bound(book)}"
            )


def render(world: World, pages: int, at_once: int, desk: Path) -> ExecutionPlan:
    """The book, once none of its pages can be rendered any more; says how it is getting on meanwhile."""
    triggered = world.trigger(Book, pages, at_once, str(desk))
    if not isinstance(triggered, Triggered):
        raise SystemExit(f"the book could not be planned: {triggered}")
    last = -1.0
    while not triggered.finished.done():
        progress = world.persistence.load_execution_plan(triggered.id).progress
        if progress != last:
            click.echo(f"{progress:4.0%} of the pages have ended")
            last = progress
        time.sleep(LOOK_S)
    plan: ExecutionPlan = triggered.finished.result()
    return plan


def say(when: str, book: ExecutionPlan) -> None:
    output = book.entry_action.output
    numbers = ", ".join(f"{output[f'{name}_count']} {name}" for name in ("total", "success", "failed"))
    click.echo(f"{when}: the book is {book.state} ({book.result}); pages: {numbers}")


def is_bound(book: ExecutionPlan) -> str:
    return "yes" if book.entry_action.output.get("bound") else "no"


if __name__ == "__main__":
    main()
