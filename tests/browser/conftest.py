"""A real world with workers, its console on a free port, and a browser that goes nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import browsers
import pytest
from served_pages import served

from dynflow_mp import World
from dynflow_mp.console import create_app

HERE = Path(__file__).parent
SCREENSHOTS = HERE.parent.parent / "build" / "screenshots"
PATIENCE_MS = 15_000
ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
"""Other hosts have no address. Requests are not held up to be looked at: nobody would let them go on while a test waits."""


class Console(NamedTuple):
    """A console that is served; ``directory`` is for files that actions look for."""

    world: Any
    url: str
    directory: Path


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One for all tests of this process."""
    browsers.require()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browsers.CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A world with two workers and its console, for all tests of a module."""
    directory = tmp_path_factory.mktemp("console")
    # Workers import the module of the actions from here, as they would a user's.
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE), before)))
    try:
        with (
            World(
                database_url=f"sqlite:///{directory / 'plans.db'}", workers=2, apps=["page_actions"]
            ) as world,
            served(create_app(world)) as url,
        ):
            yield Console(world, url, directory)
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


@pytest.fixture
def open_page(browser: Any, console: Console) -> Iterator[Callable[..., Any]]:
    """Opens pages of its own, each with its settings (``viewport``, ``java_script_enabled`` …).

    What must never happen, did not happen in any: a request to another host, a breach of the content security
    policy, an error in a script.
    """
    wrong: list[str] = []
    contexts: list[Any] = []
    host = urlsplit(console.url).netloc

    def open_one(**settings: Any) -> Any:
        context = browser.new_context(base_url=console.url, **settings)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)

        page = context.new_page()
        page.on("request", lambda request: _check_host(wrong, host, request.url))
        page.on("console", lambda message: _note(wrong, message))
        page.on("pageerror", lambda error: wrong.append(f"an error in a script: {error}"))
        return page

    yield open_one
    for context in contexts:
        _leave(context)
    assert not wrong


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Any:
    """A page of an ordinary window."""
    return open_page(viewport={"width": 1280, "height": 800})


@pytest.fixture
def shoot() -> Callable[..., None]:
    """Keeps a picture of a page in build/screenshots, where CI collects it."""

    def take(page: Any, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png")

    return take


def _leave(context: Any) -> None:
    """Close it. A page that is still on its way to another would be waited for, for ever."""
    from playwright.sync_api import Error

    for page in context.pages:
        with suppress(Error):
            page.goto("about:blank", wait_until="commit", timeout=PATIENCE_MS)
    context.close()


def _check_host(wrong: list[str], host: str, url: str) -> None:
    if url != "about:blank" and urlsplit(url).netloc != host:
        wrong.append(f"asked elsewhere: {url}")


def _note(wrong: list[str], message: Any) -> None:
    if "Content Security Policy" in message.text or "Content-Security-Policy" in message.text:
        wrong.append(f"against the content security policy: {message.text}")
