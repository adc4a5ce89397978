"""What the reader brings: a plan as of one moment."""

from queue import SimpleQueue

import pytest

from dynflow_mp.director.stimuli import PlanUnavailable
from dynflow_mp.errors import PlanNotFound
from dynflow_mp.executor.reader import PlanLoaded, Reader
from dynflow_mp.model.flows import Concurrence, Sequence
from dynflow_mp.model.plans import PlanSkeleton, StepTable
from dynflow_mp.model.states import PlanState


def a_skeleton(owner_id):
    return PlanSkeleton(
        "p", "A", PlanState.RUNNING, 1, owner_id, 1, None, Concurrence(), Sequence(),
        StepTable(0), {}, 0.0, {}, {}, (),
    )  # fmt: skip


class Shelves:
    """A store whose plan changes hands between two reads."""

    def __init__(self, owners):
        self.owners = list(owners)

    def take_up(self, plan_id, payloads_up_to):
        if not self.owners:
            raise PlanNotFound("no plan p is stored", "p")
        return a_skeleton(self.owners.pop(0)), []


@pytest.fixture
def read():
    readers = []

    def read(store, holders):
        news = SimpleQueue()
        held = iter(holders)
        reader = Reader(store, lambda plan_id: next(held), news.put)
        readers.append(reader)
        reader.start()
        reader.ask("p")
        return news.get(timeout=10)

    yield read
    for reader in readers:
        reader.stop()


def test_a_free_plan_comes_as_it_is(read):
    assert read(Shelves([None]), []).skeleton.owner_id is None


def test_a_plan_that_another_world_runs_comes_with_its_request(read):
    news = read(Shelves(["other"]), ["r1"])

    assert (news.skeleton.owner_id, news.holder_request_id) == ("other", "r1")


def test_a_plan_whose_owner_lets_go_between_two_reads_is_read_again(read):
    """Its row said "owned" and its lock was gone: it is not running elsewhere, it has just been released."""
    news = read(Shelves(["dead", None]), [None])

    assert isinstance(news, PlanLoaded)
    assert news.skeleton.owner_id is None


def test_an_owner_without_a_lock_is_believed_in_the_end(read):
    news = read(Shelves(["odd"] * 5), [None] * 5)

    assert (news.skeleton.owner_id, news.holder_request_id) == ("odd", None)


def test_a_plan_that_is_gone_is_said_so(read):
    assert isinstance(read(Shelves([]), []), PlanUnavailable)
