"""Makes the pictures of the README and the documents from a real run: docs/pictures/console-*.png and terminal-*.svg.

    python scripts/pictures.py [DIRECTORY]        needs the extra "console", playwright, and a Chromium (CHROMIUM=…)

supervisor, console: processes of their own, as users start them ─▶ plans of a shop ─▶ pages, commands ─▶ pictures
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from playwright.sync_api import sync_playwright
from terminal_screen import screen_of, svg_of

from dynflow_mp import World

HERE = Path(__file__).parent
ROOT = HERE.parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
DATABASE = "sqlite:///shop.db"
APP = "shop"
"""The module of the actions: a copy of shop_of_pictures.py, as it would lie in a user's project."""
PATIENCE_S = 60.0
SERVICES = ["web", "checkout", "search", "mail", "payments"]
REGIONS = ["eu-west", "us-east"]
COLUMNS, LINES = 118, 44


def main(directory: Path) -> None:
    """Run everything once, and take the pictures on the way."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="project-") as working, ExitStack() as stack:
        os.chdir(working)
        shutil.copy(HERE / "shop_of_pictures.py", f"{APP}.py")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), working])
        sys.path.insert(0, working)
        stack.enter_context(started("supervisor", "--workers", "4", "--database", DATABASE, "--app", APP))
        world = stack.enter_context(World(database_url=DATABASE))
        line = stack.enter_context(started("console", "--database", DATABASE, "--app", APP, "--port", "0"))
        url = re.search(r"url=(\S+)", line)
        assert url is not None, line
        browse = stack.enter_context(browser(url[1].rstrip("/"), directory))
        take_pictures(world, browse, directory)


def take_pictures(world: World, browse: Callable[..., None], directory: Path) -> None:
    """The story: past releases, some of them held up, then one that is looked at while it runs."""
    past = [release(world, f"4.{number}", SERVICES[:2]) for number in range(3)]
    held_up = [
        release(world, f"4.{number}-rc", SERVICES[:3], registry=f"r{number}.internal") for number in range(3)
    ]
    for triggered in [*past, *held_up]:
        triggered.finished.result(PATIENCE_S)
    release(world, "5.0-beta", SERVICES[:1], approval=True)
    world.delay(_actions().CleanUp, start_at=datetime.now(UTC) + timedelta(hours=6))
    shown = release(world, "4.3", SERVICES)
    wait_for(lambda: done_steps(world, shown.id) >= 3)
    browse("console-plan", f"/plans/{shown.id}")
    browse("console-plans", "/plans")
    browse("console-worlds", "/worlds")
    shown.finished.result(PATIENCE_S)
    watched = release(world, "4.4", SERVICES)
    command(directory, "terminal-watch", "plans", "watch", watched.id, seconds=4.0)
    watched.finished.result(PATIENCE_S)
    browse("console-timeline", f"/plans/{shown.id}/timeline")
    browse("console-plan-dark", f"/plans/{held_up[0].id}", dark=True)
    browse("console-step", f"/plans/{held_up[0].id}/steps/{failed_step(world, held_up[0].id)}")
    browse("console-failures", "/failures")
    command(directory, "terminal-list", "plans", "list")
    command(directory, "terminal-show", "plans", "show", held_up[0].id)
    command(directory, "terminal-worlds", "worlds", "list")


def release(world: World, version: str, services: list[str], **more: Any) -> Any:
    """Begin one."""
    return world.trigger(_actions().Release, version, services, REGIONS, **more)


def _actions() -> Any:
    """The copy that the workers import, too."""
    return import_module(APP)


def done_steps(world: World, plan_id: str) -> int:
    """How many run steps of a plan have succeeded."""
    counts = world.persistence.step_counts(plan_id)
    return sum(count.number for count in counts if count.phase == "run" and count.state == "success")


def failed_step(world: World, plan_id: str) -> int:
    """A step that failed."""
    return world.persistence.load_execution_plan(plan_id).failed_steps[0].id


def wait_for(what: Callable[[], bool]) -> None:
    """Until it is so."""
    deadline = monotonic() + PATIENCE_S
    while not what():
        if monotonic() > deadline:
            raise SystemExit("the run did not come to where its picture is taken")
        sleep(0.05)


@contextmanager
def started(*words: str) -> Iterator[str]:
    """A program of ours that runs; the line in which it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dynflow_mp.cli", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        if not select.select([process.stdout], [], [], PATIENCE_S)[0]:
            raise SystemExit(f"{words[0]} was not ready within {PATIENCE_S:g} s")
        yield process.stdout.readline()
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@contextmanager
def browser(url: str, directory: Path) -> Iterator[Callable[..., None]]:
    """Takes pictures of pages."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        def browse(name: str, path: str, dark: bool = False) -> None:
            context = chromium.new_context(
                base_url=url,
                viewport={"width": 1200, "height": 760},
                color_scheme="dark" if dark else "light",
            )
            page = context.new_page()
            page.goto(path)
            page.locator("h1").wait_for()
            page.screenshot(path=directory / f"{name}.png")
            context.close()

        try:
            yield browse
        finally:
            chromium.close()


def command(directory: Path, name: str, *words: str, seconds: float | None = None) -> None:
    """What a command shows on a terminal, when it ends or after so many seconds."""
    shown = ["dynflow-mp", *(word if len(word) < 30 else f"{word[:8]}…" for word in words)]
    argv = [sys.executable, "-m", "dynflow_mp.cli", *words, "--database", DATABASE, "--app", APP]
    output = screen_of(argv, COLUMNS, LINES, PATIENCE_S if seconds is None else seconds)
    svg = svg_of(f"$ {' '.join(shown)}\n{output}", COLUMNS, " ".join(shown))
    (directory / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs" / "pictures").resolve())
