"""The bell that wakes a thread out of its poll, on a real pipe."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator

import pytest

from dynflow_mp.bell import Bell


@pytest.fixture
def bell() -> Iterator[Bell]:
    bell = Bell()
    yield bell
    bell.close()


def heard(bell: Bell) -> bool:
    return bool(select.select([bell.fd], [], [], 0)[0])


def test_a_bell_is_heard_until_it_is_silenced(bell: Bell) -> None:
    before = heard(bell)

    bell.ring()
    rung = heard(bell)
    bell.silence()

    assert (before, rung, heard(bell)) == (False, True, False)


def test_a_bell_rung_many_times_is_silenced_once(bell: Bell) -> None:
    for _ in range(100_000):
        bell.ring()

    bell.silence()

    assert not heard(bell)


def test_a_silenced_bell_rings_again(bell: Bell) -> None:
    bell.ring()
    bell.silence()

    bell.ring()

    assert heard(bell)


def test_a_closed_bell_may_be_rung_and_closed_again() -> None:
    bell = Bell()
    bell.close()

    bell.ring()
    bell.close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        heard(bell)


def test_a_bell_that_is_closed_while_it_is_rung_rings_into_nobody_else_s_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bell, write, others = Bell(), os.write, []
    closing = threading.Thread(target=bell.close)

    def slowly(fd: int, data: bytes) -> int:
        closing.start()
        closing.join(0.3)
        others.append(os.pipe())
        return write(fd, data)

    monkeypatch.setattr("dynflow_mp.bell.os.write", slowly)
    bell.ring()
    closing.join(10)

    (theirs,) = others
    assert not select.select([theirs[0]], [], [], 0)[0]
    for fd in theirs:
        os.close(fd)
