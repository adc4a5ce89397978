"""An errand in a worker: whatever its code does, something comes of it."""

from __future__ import annotations

import pytest

from dynflow_mp.actions.errands import run_errand
from dynflow_mp.model.work import Errand, ErrorRecord

ERRAND = Errand("p", 1, "echo", "m.A", b"hello")


def failed_with(kind):
    outcome = run_errand(ERRAND, {"echo": kind}, 100)
    assert outcome.result is None
    return ErrorRecord.from_bytes(outcome.error)


def test_what_an_errand_returns_is_its_result():
    outcome = run_errand(ERRAND, {"echo": lambda errand, limit: errand.data}, 100)

    assert (outcome.kind, outcome.result, outcome.error) == ("echo", b"hello", None)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
def test_what_it_raises_is_its_error(error):
    def fail(errand, limit):
        raise error

    assert failed_with(fail).exception_class == type(error).__name__


def test_an_unknown_kind_is_an_error():
    outcome = run_errand(ERRAND, {}, 100)

    assert "unknown kind 'echo'" in ErrorRecord.from_bytes(outcome.error).message
