"""What the supervisor says, and what becomes of it when nobody listens."""

from __future__ import annotations

import io
import logging
import os
import re
import time
from collections.abc import Iterator

import pytest

from dynflow_mp.errors import PersistenceError
from dynflow_mp.supervisor.streams import LineFormatter, LooseStream

PATIENCE_S = 20.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def all_there_is(reader: int) -> str:
    os.set_blocking(reader, False)
    try:
        return os.read(reader, 4 * 1024 * 1024).decode()
    except BlockingIOError:
        return ""


def test_what_is_written_arrives_in_order(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    stream = LooseStream(writer)

    for number in range(100):
        print(number, file=stream)

    assert stream.drain(PATIENCE_S)
    assert all_there_is(reader).split() == [str(number) for number in range(100)]


def dropped_by(said: str) -> int:
    """How many messages a reader is told of that were dropped."""
    told = re.findall(r"dynflow_mp: (\d+) messages before this line were dropped: nobody read them", said)
    return sum(map(int, told))


def test_writing_never_waits_and_what_was_dropped_is_counted(pipe: tuple[int, int]) -> None:
    """Ten megabytes into a pipe that nobody reads; then somebody does."""
    reader, writer = pipe
    stream = LooseStream(writer)
    line = "x" * 1023 + "\n"
    began = time.monotonic()

    for _ in range(10_000):
        stream.write(line)

    assert time.monotonic() - began < PATIENCE_S
    assert not stream.drain(0.05)
    said = ""
    deadline = time.monotonic() + PATIENCE_S
    # Said each time that there was room again in between, which there may have been while we still wrote.
    while said.count("x\n") + dropped_by(said) < 10_000 and time.monotonic() < deadline:
        said += all_there_is(reader)
        if stream.drain(0.01):
            stream.write("more\n")
    kept = said.count("x\n")
    assert 1_000 <= kept < 2_500
    assert kept + dropped_by(said) >= 10_000  # some of those that came while we read, too


def test_a_reader_that_is_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = LooseStream(writer)

    stream.write("anybody?\n")

    assert stream.drain(PATIENCE_S)
    os.close(writer)


def logged(error: Exception, tracebacks: bool) -> list[str]:
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(LineFormatter(tracebacks))
    record = logging.LogRecord(
        "shop", logging.WARNING, "", 0, "it went wrong", (), (type(error), error, None)
    )
    handler.handle(record)
    return said.getvalue().splitlines()


def test_an_error_of_the_engine_s_own_is_one_line() -> None:
    (line,) = logged(PersistenceError("shop.db: disk full"), tracebacks=False)

    assert line.endswith("WARNING shop: it went wrong: PersistenceError: shop.db: disk full")


def test_it_has_its_traceback_when_asked_for_and_any_other_error_always() -> None:
    ours = logged(PersistenceError("shop.db: disk full"), tracebacks=True)
    theirs = logged(KeyError("price"), tracebacks=False)

    assert len(ours) == len(theirs) == 2
