"""A death certificate inside an error: stored, read again, shown."""

import pytest

from dynflow_mp.director.causes import abnormal_termination
from dynflow_mp.model.advice import advice_for
from dynflow_mp.model.certificates import MOST_OUTPUT_BYTES, Certificate, last_lines
from dynflow_mp.model.codec import encode
from dynflow_mp.model.work import ErrorRecord
from dynflow_mp.reading.recorded_error import RecordedError

FULL = Certificate(
    "signal(11)",
    "worker 17 crashed",
    died_at=3_500_000,
    began_at=1_000_000,
    worker="17",
    pid=4711,
    signal=11,
    peak_memory=50 * 2**20,
    cpu_time=1.25,
    stack=('File "shop.py", line 5 in run', 'File "native.py", line 1 in call'),
    output="working\nstill working",
    output_dropped=12_000,
)


def error(certificate):
    return ErrorRecord("dynflow_mp.errors.WorkerLost", "it is gone", (), "signal(11)", certificate)


@pytest.mark.parametrize(
    "certificate", [None, FULL, Certificate("exit(0)", "left", 5, exit_code=0, cpu_time=0.0)]
)
def test_an_error_is_read_as_it_was_stored(certificate):
    assert ErrorRecord.from_bytes(error(certificate).to_bytes()) == error(certificate)


def test_an_error_without_a_certificate_is_stored_as_ever():
    assert error(None).to_bytes() == encode(
        ["dynflow_mp.errors.WorkerLost", "it is gone", [], "signal(11)"], "error"
    )


def test_facts_of_later_versions_are_passed_over():
    data = FULL.to_data() | {"colour": "blue"}

    assert Certificate.from_data(data) == FULL


def test_a_certificate_reads_well():
    shown = RecordedError.from_bytes(error(FULL).to_bytes()).certificate

    assert str(shown).splitlines()[:-1] == [
        "cause: signal(11): worker 17 crashed",
        "time: 1970-01-01 00:00:01.000+00:00 to 1970-01-01 00:00:03.500+00:00 (2.500 s)",
        "worker: 17, pid 4711, peak memory 50 MiB, 1.25 s of CPU",
        "stack, innermost call last:",
        '  File "shop.py", line 5 in run',
        '  File "native.py", line 1 in call',
        "last output (12,000 bytes of it dropped):",
        "  working",
        "  still working",
    ]
    assert str(shown).splitlines()[-1].startswith("what to try: A native library")
    assert repr(shown) == "<DeathCertificate signal(11): worker 17 crashed>"


def test_the_exception_carries_it_as_a_note():
    recorded = RecordedError.from_bytes(error(FULL).to_bytes())

    assert recorded.exception.__notes__ == [str(recorded.certificate)]
    assert str(recorded.exception) == "it is gone"
    assert not hasattr(RecordedError.from_bytes(error(None).to_bytes()).exception, "__notes__")


def test_a_step_that_had_ended_before_has_no_last_words():
    bare = FULL.without_last_words()

    assert (bare.stack, bare.output, bare.began_at) == ((), "", None)
    assert (bare.cause, bare.pid) == (FULL.cause, FULL.pid)


def test_of_long_output_the_last_lines_are_kept():
    assert last_lines("\n".join(map(str, range(100))) + "\n").splitlines() == [*map(str, range(60, 100))]
    long = last_lines("ü" * 100_000)
    assert len(long.encode()) <= MOST_OUTPUT_BYTES + 3
    assert long.startswith("…ü")


@pytest.mark.parametrize(
    "cause",
    [
        *("signal(4)", "signal(6)", "signal(7)", "signal(9)", "signal(11)", "signal(15)", "signal(40)"),
        *("exit(3)", "out_of_memory", "memory_limit", "timeout", "deadline", "halted", "supervisor_lost"),
        *("protocol_error", "replaced", "unknown", "executor_ended", "lease_lost"),
    ],
)
def test_every_cause_has_something_to_try(cause):
    assert len(advice_for(cause)) > 20


def test_a_step_whose_executor_died_has_a_certificate_that_says_so():
    record = abnormal_termination(now=5_000_000)

    assert record.certificate[:3] == (
        record.cause,
        "the executor that ran it is gone, and its worker with it",
        5_000_000,
    )
    assert record.certificate.advice


def test_about_what_is_not_known_nothing_is_said():
    assert advice_for("unreadable") == ""
