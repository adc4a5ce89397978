"""Texts of others on a terminal: they cannot move its cursor, hide a line or turn it round."""

from __future__ import annotations

import pytest

from dynflow_mp.cli.escaping import cut, in_one_line, visible, visible_lines

HOSTILE = [
    "\x1b[2J\x1b[H",
    "a\nb",
    "\r0 wrong",
    "\x9b31m",
    "\u202eterces",
    "\x07",
    "\x00",
    "\ud800",
    "\u2028",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_does_not_print_is_shown_as_an_escape(text: str):
    shown = visible(f"before{text}after")

    assert shown.isprintable()
    assert shown.startswith("before")
    assert "\\" in shown


def test_what_prints_stays_as_it_is():
    assert visible("Grüße, 世界 [red]not markup[/red]") == "Grüße, 世界 [red]not markup[/red]"


def test_lines_stay_lines_and_tabs_become_room():
    assert visible_lines("a\tb\n\x1b[31mc") == ["a   b", "\\x1b[31mc"]


def test_what_the_program_says_is_one_line_of_a_bearable_length():
    assert in_one_line("x" * 1_000_000 + "\n") == "x" * 1000 + "…"
    assert in_one_line("one\ntwo") == "one\\ntwo"
    assert (cut("abcdef", 4), cut("abcd", 4)) == ("abc…", "abcd")
