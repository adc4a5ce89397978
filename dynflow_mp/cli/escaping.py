"""Texts of others on a terminal: labels, errors and inputs may hold what moves its cursor or hides a line."""

from __future__ import annotations

_MOST_SAID = 1000


def visible(text: str) -> str:
    """``text`` on one line: what does not print (escapes, newlines, marks that turn the direction) as ``repr`` writes it."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def visible_lines(text: str) -> list[str]:
    """``text`` line by line, each as :func:`visible` makes it; tabs are four spaces."""
    return [visible(line.expandtabs(4)) for line in text.split("\n")]


def in_one_line(text: str) -> str:
    """What the program says of itself: one line, and not all of a megabyte."""
    line = visible(text[: 2 * _MOST_SAID])
    return line if len(line) <= _MOST_SAID else f"{line[:_MOST_SAID]}…"


def cut(text: str, most: int) -> str:
    """``text`` with an end mark where it is longer than ``most`` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
