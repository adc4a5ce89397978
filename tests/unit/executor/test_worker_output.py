"""What a worker prints: kept within bounds, told apart by job, and fit to be shown."""

import logging
import os

import pytest

from dynflow_mp.executor.output import HEAD_BYTES, TAIL_BYTES, Capture, Owner, WorkerOutput, readable


def test_g23_of_very_much_output_the_first_and_the_last_are_kept_and_the_rest_is_counted():
    capture = Capture()
    capture.add(b"first")
    for _ in range(100):
        capture.add(b"x" * 65536)
    capture.add(b"last")

    text, dropped = capture.printed

    assert text.startswith("firstx")
    assert text.endswith("xlast")
    assert dropped == 5 + 100 * 65536 + 4 - HEAD_BYTES - TAIL_BYTES
    assert f"{dropped:,} bytes left out" in text
    assert len(text) < HEAD_BYTES + TAIL_BYTES + 100
    assert len(capture.tail) == TAIL_BYTES


def test_what_fits_is_kept_whole():
    capture = Capture()
    capture.add(b"a" * HEAD_BYTES)
    capture.add(b"b" * TAIL_BYTES)

    assert capture.printed == ("a" * HEAD_BYTES + "b" * TAIL_BYTES, 0)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"plain\n\ttext\n", "plain\n\ttext\n"),
        (b"\x1b[31mred\x1b[0m\a\b\r\n", "[31mred[0m\n"),
        (b"\xff\xfe binary \x00", "\\xff\\xfe binary "),
        ("ü€ \u202e".encode(), "ü€ "),
    ],
)
def test_g23_what_a_terminal_would_obey_is_left_out(data, shown):
    assert readable(data) == shown


@pytest.fixture
def printing():
    """A pipe to print into, and the output that reads it, with the job that runs in a list."""
    reading, writing = os.pipe()
    running = [0]
    owners = {1: Owner("plan", 4, 1), 2: Owner("plan", 5, 3)}
    output = WorkerOutput(reading, lambda: running[0], owners.get, {"worker": "w"})
    yield lambda data: os.write(writing, data), output, running
    os.close(reading)
    os.close(writing)


def test_g23_output_belongs_to_the_job_that_ran_when_it_was_read(printing):
    write, output, running = printing
    write(b"starting\n")
    assert output.take()
    running[0] = 1
    write(b"one\n")
    assert output.take()

    assert output.printed(1) == ("one\n", 0)
    assert output.printed(0) == ("", 0)
    assert output.tail == "one\n"


def test_nothing_is_waited_for(printing):
    _, output, _ = printing

    assert output.take(10) is True


def test_what_is_closed_is_not_read_any_more(printing):
    write, output, _ = printing
    write(b"late")
    output.close()

    assert output.take() is False
    assert output.tail == ""


def test_g23_the_log_says_whose_output_it_is_line_by_line(printing, caplog):
    write, output, running = printing
    running[0] = 2
    with caplog.at_level(logging.DEBUG, "dynflow_mp.executor.worker"):
        for data in (b"half a l", b"ine\nsecond\x1b line\nrest"):
            write(data)
            output.take()

    said = [(record.message, record.plan_id, record.step_id, record.attempt) for record in caplog.records]
    assert said == [("half a line", "plan", 5, 3), ("second line", "plan", 5, 3)]


def test_a_line_without_an_end_is_logged_in_pieces(printing, caplog):
    write, output, _ = printing
    with caplog.at_level(logging.DEBUG, "dynflow_mp.executor.worker"):
        for _ in range(3):
            write(b"x" * 3000)
            output.take()

    assert [len(record.message) for record in caplog.records] == [6000]
