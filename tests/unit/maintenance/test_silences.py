"""Which worlds are over: proof, observed change, and nothing by clocks of others."""

import pytest

from dynflow_mp.coordinator.records import WorldRecord
from dynflow_mp.maintenance.silences import Silences, Verdict, judge

TTL = 60.0


def an_executor(world_id="x", lease=1, state="alive"):
    return WorldRecord(world_id, executor=True, state=state, lease=lease)


def a_client(world_id="c", state="alive"):
    return WorldRecord(world_id, executor=False, state=state, lease=1)


def verdict(*worlds, holders=(), silent=(), gone=()):
    return judge(
        worlds,
        set(holders),
        lambda world_id: TTL if world_id in silent else TTL - 0.1,
        TTL,
        lambda world: world.id in gone,
    )


def silence_after(leases_and_times, **changes):
    silences = Silences(longest_gap_s=15.0)
    for lease, time in leases_and_times:
        silences.look([an_executor(lease=lease)], time)
    return silences.of("x")


# -- silence ---------------------------------------------------------------------------------------


def test_a_world_seen_for_the_first_time_has_not_been_silent():
    assert silence_after([(5, 1000.0)]) == 0.0


def test_a_lease_that_stands_still_adds_up():
    assert silence_after([(5, 0.0), (5, 10.0), (5, 20.0)]) == 20.0


@pytest.mark.parametrize("lease", [6, 4])
def test_any_change_of_the_lease_proves_life(lease):
    assert silence_after([(5, 0.0), (5, 10.0), (lease, 20.0)]) == 0.0


def test_while_this_world_saw_nothing_nobody_was_silent():
    """Stopped, suspended, or without the database, which nobody could renew in either."""
    assert silence_after([(5, 0.0), (5, 10.0), (5, 3600.0)]) == 25.0


def test_a_change_of_state_begins_anew():
    silences = Silences(15.0)
    silences.look([an_executor()], 0.0)
    silences.look([an_executor()], 10.0)
    silences.look([an_executor(state="dead")], 20.0)

    assert silences.of("x") == 0.0


def test_worlds_that_left_are_forgotten():
    silences = Silences(15.0)
    silences.look([an_executor()], 0.0)
    silences.look([], 10.0)
    silences.look([an_executor()], 20.0)

    assert silences.of("x") == 0.0


# -- verdicts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["alive", "draining"])
def test_a_living_world_is_left_alone(state):
    assert verdict(an_executor(state=state), a_client(), holders={"x"}) == Verdict([], [])


@pytest.mark.parametrize("world", [an_executor(), an_executor(state="draining"), a_client("x")])
def test_a_world_whose_process_is_gone_is_recovered_at_once(world):
    assert verdict(world, gone={"x"}) == Verdict(["x"], [])


@pytest.mark.parametrize("state", ["alive", "draining"])
def test_an_executor_that_is_silent_for_the_ttl_is_recovered(state):
    assert verdict(an_executor(state=state), silent={"x"}) == Verdict(["x"], [])


def test_a_silent_client_is_in_nobodys_way_unless_it_holds_a_lock():
    assert verdict(a_client(), silent={"c"}) == Verdict([], [])
    assert verdict(a_client(), silent={"c"}, holders={"c"}) == Verdict(["c"], [])


def test_a_dead_world_that_still_holds_something_is_recovered_again():
    """Who began it died itself, or a plan could not be settled."""
    assert verdict(an_executor(state="dead"), holders={"x"}, silent={"x"}) == Verdict(["x"], [])


def test_a_dead_world_is_kept_for_the_ttl_and_then_forgotten():
    assert verdict(an_executor(state="dead")) == Verdict([], [])
    assert verdict(an_executor(state="dead"), silent={"x"}) == Verdict([], ["x"])
    assert verdict(an_executor(state="dead"), gone={"x"}) == Verdict([], ["x"])


def test_whoever_holds_locks_and_is_not_registered_is_recovered():
    """Worlds 60: it cannot write either."""
    assert verdict(an_executor(), holders={"x", "nobody"}) == Verdict(["nobody"], [])


def test_g10_silence_counts_from_the_answer_of_one_look_to_the_question_of_the_next():
    silences = Silences(longest_gap_s=15.0)

    silences.look([an_executor(lease=5)], 0.0, answered=9.0)  # a slow database: renewed perhaps at 8.9
    silences.look([an_executor(lease=5)], 10.0, answered=10.0)

    assert silences.of("x") == 1.0


def test_a_client_that_holds_nothing_may_be_silent_for_a_night_but_not_for_ever():
    """One that was killed on a host without an executor: nobody can prove that it is gone."""

    def after(hours):
        return judge([a_client()], set(), lambda world_id: hours * 3600.0, TTL, lambda world: False)

    assert after(hours=12) == Verdict([], [])
    assert after(hours=24) == Verdict(["c"], [])
