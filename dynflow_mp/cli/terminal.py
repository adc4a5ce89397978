"""Where a command says what it has found or done: words and tables for people, JSON for programs.

On a terminal tables fit its width and states have colours; through a pipe nothing is cut, coloured or drawn.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dynflow_mp.cli.escaping import visible
from dynflow_mp.cli.tables import Table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STYLES = {
    "success": "green",
    "alive": "green",
    "idle": "green",
    "current": "green",
    "running": "blue",
    "busy": "blue",
    "suspended": "cyan",
    "warning": "yellow",
    "paused": "yellow",
    "draining": "yellow",
    "skipped": "yellow",
    "skipping": "yellow",
    "error": "red",
    "dead": "red",
    "gone": "red",
    "cancelled": "magenta",
    "pending": "dim",
    "planned": "dim",
    "scheduled": "dim",
}


class Terminal:
    """Standard output. Texts given to it may be anybody's: what does not print is shown as an escape."""

    def __init__(self, *, as_json: bool = False, no_color: bool = False) -> None:
        self.as_json = as_json
        self._no_color = no_color

    @property
    def is_terminal(self) -> bool:
        """Whether a person sees it as it comes. FORCE_COLOR makes no terminal of a pipe: it is about colours."""
        return sys.stdout.isatty()

    @property
    def can_redraw(self) -> bool:
        """Whether what is drawn can be drawn over: not through a pipe, nor on a terminal that says it is dumb."""
        return self.is_terminal and not self.console.is_dumb_terminal

    @cached_property
    def console(self) -> Console:
        """For what is drawn."""
        # Not imported at the top: rich takes longer to import than most commands take to run.
        from rich.console import Console

        return Console(
            file=sys.stdout, highlight=False, markup=False, emoji=False, no_color=self._no_color or None
        )

    # -- for programs ------------------------------------------------------------------------------

    def json(self, value: Any) -> None:
        """One JSON value on one line."""
        # ASCII, so that no byte of it means anything to a terminal; DEL is the one that json leaves.
        print(json.dumps(value).replace("\x7f", "\\u007f"), flush=True)

    # -- for people --------------------------------------------------------------------------------

    def line(self, *parts: str | tuple[str, str]) -> None:
        """One line of texts, or of pairs of a text and its style. Nothing where JSON is wanted."""
        if not self.as_json:
            self.console.print(text(*parts), soft_wrap=True)

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        flexible: str | None = None,
        spare: Sequence[str] = (),
    ) -> None:
        """Rows under headings. On a terminal that is too narrow the columns ``spare`` are left out, the first of them
        first, and then ``flexible`` is cut; ids are whole, so that they can be copied.
        """
        if self.as_json:
            return
        table = Table(columns, [[visible(cell) for cell in row] for row in rows])
        if self.is_terminal:
            table = table.within(self.console.width, flexible, spare)
        for number, line in enumerate(table.lines()):
            self.console.print(text(*line) if number else text((line[0][0], "bold")), soft_wrap=True)


def text(*parts: str | tuple[str, str]) -> Text:
    """Texts, or pairs of a text and its style, in a row; what does not print is escaped."""
    from rich.text import Text

    made = Text()
    for part in parts:
        plain, style = (part, "") if isinstance(part, str) else part
        made.append(visible(plain), style=style or None)
    return made


def style_of(word: str) -> str:
    """The colour of a state; none for other words."""
    return _STYLES.get(word, "")
