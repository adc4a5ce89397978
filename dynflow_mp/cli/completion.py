"""What a shell completes: ids of plans and of worlds, as the database has them now.

A shell waits for it at every press of a key, so it has a deadline, and what goes wrong is silence.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from dynflow_mp.persistence.beginnings import Beginning

_DEADLINE_S = 1.5
_DEFAULT = "sqlite:///dynflow.db"
_LONGEST = 80


def plan_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of the newest plans that begin so, each with what plan it is."""

    def ask(url: str) -> list[Beginning]:
        from dynflow_mp.persistence.beginnings import plans_beginning

        return plans_beginning(url, incomplete)

    return _in_time(context, ask)


def world_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of worlds that begin so."""

    def ask(url: str) -> list[Beginning]:
        from dynflow_mp.persistence.beginnings import worlds_beginning

        return worlds_beginning(url, incomplete)

    return _in_time(context, ask)


def _in_time(context: click.Context, ask: Callable[[str], list[Beginning]]) -> list[CompletionItem]:
    """On a thread that is left behind if the database does not answer."""
    answer: Queue[list[Beginning]] = Queue()

    def asking() -> None:
        with suppress(Exception):
            answer.put(ask(_url(context)))
            return
        answer.put([])

    Thread(target=asking, daemon=True).start()
    with suppress(Empty):
        found = answer.get(timeout=_DEADLINE_S)
        return [CompletionItem(each.id, help=_one_line(", ".join(each.words))) for each in found]
    return []


def _one_line(text: str) -> str:
    """Shells read what is completed line by line, and print it."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST])


def _url(context: click.Context) -> str:
    """As :class:`~dynflow_mp.config.Config` finds it, but nothing else is read or checked."""
    given = context.params.get("database_url") or os.environ.get("DYNFLOW_DATABASE_URL")
    return str(
        given or _in_file("dynflow.toml") or _in_file("pyproject.toml", "tool", "dynflow_mp") or _DEFAULT
    )


def _in_file(name: str, *tables: str) -> str | None:
    path = Path(name)
    if not path.is_file():
        return None
    found: Any = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    for table in tables:
        found = found.get(table, {})
    url = found.get("database_url")
    return None if url is None else str(url)
