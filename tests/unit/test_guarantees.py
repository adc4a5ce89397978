"""The page of guarantees has all of them, and names tests that exist: all that carry a guarantee's number, and no other."""

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
PAGE = TESTS.parent / "docs" / "guarantees.md"
PROMISES = range(1, 42)
NOT_YET: set[int] = set()


def test_every_promise_stands_on_the_page_once():
    said = re.findall(r"^\| \*\*G(\d+)\*\* \|", PAGE.read_text(), re.MULTILINE)

    assert said == [str(number) for number in PROMISES]


def test_every_promise_has_a_test_that_names_it_and_the_page_names_them_all():
    told: dict[int, set[str]] = {
        int(number): set(re.findall(r"`([\w/]+\.py::\w+)`", tests))
        for number, tests in re.findall(r"^\| G(\d+) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    }

    assert told == {number: _named_after(number) for number in PROMISES}
    assert {number for number, tests in told.items() if not tests} == NOT_YET


def _named_after(promise: int) -> set[str]:
    return {
        f"{path.relative_to(TESTS)}::{name}"
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"def (test_(?:[bgmw]\d+_)+\w*)\(", path.read_text())
        if f"g{promise}" in name.split("_")[1 : _numbers(name)]
    }


def _numbers(name: str) -> int:
    """Where the numbers at the beginning of a test's name end."""
    words = name.split("_")
    return next(
        (at for at, word in enumerate(words) if at and not re.fullmatch(r"[bgmw]\d+", word)), len(words)
    )
