"""Texts that may be long: their beginning, and how much more there is."""

from __future__ import annotations

from typing import NamedTuple

MOST = 8_000
"""Characters of one text that a page shows; the rest is had as a file."""
LONGEST_LINE = 300
"""Characters of a text that is one line of many."""


class CutText(NamedTuple):
    """What of a text is shown; ``left`` characters of it are not."""

    text: str
    left: int

    @property
    def is_cut(self) -> bool:
        return self.left > 0


def cut(text: str, most: int = MOST) -> CutText:
    """The beginning of a text."""
    return CutText(text[:most], max(0, len(text) - most))


def cut_end(text: str, most: int = MOST) -> CutText:
    """The end of a text: of what a program printed, the last is what one looks for."""
    return CutText(text[-most:], max(0, len(text) - most))


def one_line(text: str, most: int = LONGEST_LINE) -> str:
    """A text as one line among many."""
    line = " ".join(text[: most * 4].split())
    return line if len(line) <= most and len(text) <= most * 4 else line[:most] + "…"
