"""The thread that renews a world's lease goes on whatever happens to one renewal."""

from threading import Event

import pytest

from dynflow_mp.errors import PersistenceError, WorldFenced
from dynflow_mp.maintenance.liveness import Liveness

DEADLINE_S = 10.0


class Register:
    """Counts renewals; the first of them fail with these errors."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.renewed = Event()

    def renew_lease(self, meta):
        if self.errors:
            raise self.errors.pop(0)
        self.renewed.set()


def liveness(register, **asked):
    asked = {"healthy": lambda: True, "meta": dict, "fenced": lambda error: None, **asked}
    return Liveness(register, 0.01, asked["healthy"], asked["meta"], asked["fenced"])


def failing_once(error):
    """Something that is asked for in each renewal."""
    errors = [error]

    def ask():
        if errors:
            raise errors.pop()
        return {}

    return ask


@pytest.mark.parametrize(
    "error", [PersistenceError("away", "connection"), OSError("a driver's own"), MemoryError()]
)
def test_a_renewal_that_fails_is_tried_again(error):
    register = Register(error)
    renewing = liveness(register)
    renewing.start()

    assert register.renewed.wait(DEADLINE_S)
    renewing.stop()


@pytest.mark.parametrize("asked", ["healthy", "meta"])
def test_what_cannot_be_told_of_a_world_once_does_not_end_its_lease(asked):
    """A snapshot of what another thread is changing may fail."""
    register = Register()
    ask = failing_once(RuntimeError("dictionary changed size during iteration"))
    renewing = liveness(register, **{asked: lambda: ask() == {} if asked == "healthy" else ask()})
    renewing.start()

    assert register.renewed.wait(DEADLINE_S)
    renewing.stop()


def test_a_world_that_was_declared_dead_says_so_once_and_renews_no_more():
    told = []
    fenced = Event()
    register = Register(WorldFenced("dead"))
    renewing = liveness(register, fenced=lambda error: (told.append(error), fenced.set()))
    renewing.start()

    assert fenced.wait(DEADLINE_S)
    renewing.stop()
    assert [str(error) for error in told] == ["dead"]
    assert not register.renewed.is_set()
