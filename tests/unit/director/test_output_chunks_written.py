"""Output chunks that come while a step runs, and with its outcome: ids grow, and nothing late is taken."""

from plans_for_tests import PLAN, a_skeleton, only, success, suspended

from dynflow_mp.director.stimuli import ChunksWritten
from dynflow_mp.model.flows import Sequence
from dynflow_mp.model.work import OutputChunk
from dynflow_mp.model.writes import AddChunks, SaveOutcome

CHUNKS = (OutputChunk(b"x", None, 5, 1),)


def test_chunks_of_a_running_step_are_stored_and_those_of_an_earlier_attempt_are_not(driver):
    driver.start(a_skeleton(Sequence([2])))
    driver.send(2)

    (stored,) = driver.tell(ChunksWritten(PLAN, 2, 1, CHUNKS))

    assert stored == AddChunks(PLAN, 1, 2, 1 << 24, CHUNKS)
    assert driver.tell(ChunksWritten(PLAN, 2, 2, CHUNKS)) == []
    driver.finish(suspended(2))
    assert driver.tell(ChunksWritten(PLAN, 2, 1, CHUNKS)) == []
    assert driver.tell(ChunksWritten("elsewhere", 2, 1, CHUNKS)) == []


def test_chunks_that_come_with_the_outcome_are_stored_in_its_turn(driver):
    driver.start(a_skeleton(Sequence([2])))
    said = driver.run(success(2, chunks=CHUNKS))

    assert [type(order) for order in said[:2]] == [SaveOutcome, AddChunks]


def test_chunks_of_finalize_come_after_all_of_run(driver):
    driver.start(a_skeleton(Sequence([2]), (3,)))
    driver.run(success(2, chunks=CHUNKS))
    driver.finalize(success(3, chunks=CHUNKS))

    run, finalize = only(AddChunks, driver.said)
    assert run.base < finalize.base
    assert finalize.action_id == 3
