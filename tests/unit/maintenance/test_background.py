from threading import Event

import pytest

from dynflow_mp.maintenance.background import Background

DEADLINE_S = 10.0


class Rounds(Background):
    """Goes on until it is stopped; ``deaf``: also then, until it is let go."""

    def __init__(self, deaf: bool = False) -> None:
        super().__init__("rounds")
        self.begun, self.let_go, self.over = Event(), Event(), Event()
        self._deaf = deaf

    def _interrupt(self) -> None:
        if not self._deaf:
            self.let_go.set()

    def _run(self) -> None:
        self.begun.set()
        self.let_go.wait(DEADLINE_S)
        self.over.set()


def test_stopping_wakes_the_thread_and_waits_for_it():
    rounds = Rounds()
    rounds.start()
    assert rounds.begun.wait(DEADLINE_S)

    rounds.stop()

    assert rounds.over.is_set()


@pytest.mark.parametrize("started", [True, False])
def test_stopping_twice_is_fine_before_starting_too(started):
    rounds = Rounds()
    if started:
        rounds.start()

    rounds.stop()
    rounds.stop()

    assert rounds.over.is_set() is started


def test_a_thread_that_does_not_listen_is_waited_for_up_to_the_deadline():
    rounds = Rounds(deaf=True)
    rounds.start()

    rounds.stop(0.01)

    assert not rounds.over.is_set()
    rounds.let_go.set()
    rounds.stop(DEADLINE_S)
    assert rounds.over.is_set()
