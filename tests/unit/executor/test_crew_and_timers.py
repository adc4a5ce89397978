"""Places of workers, and what is due when."""

from dynflow_mp.executor.crew import Crew
from dynflow_mp.executor.timers import Timers


def test_the_first_crew_fills_every_place():
    assert Crew({"default": 2, "slow": 1}).first_posts() == ["default", "default", "slow"]


def test_the_crew_is_complete_when_all_have_said_hello():
    crew = Crew({"default": 2})

    crew.ready("a", "default")
    assert not crew.complete
    crew.ready("b", "default")
    assert crew.complete


def test_a_lost_worker_is_replaced_at_once():
    crew = Crew({"default": 1})
    crew.started("a", 100.0)

    post = crew.ended("a", "default", 101.0)

    assert (post.queue, post.delay_s) == ("default", 0.0)


def test_workers_that_keep_dying_are_replaced_later_and_later():
    crew = Crew({"default": 1})

    delays = []
    for number in range(20):
        crew.started(f"w{number}", 0.0)
        delays.append(crew.ended(f"w{number}", "default", 0.5).delay_s)

    assert delays[:5] == [0.0] * 5
    assert delays[5:8] == [0.1, 0.2, 0.4]
    assert delays[-1] == 30.0


def test_a_worker_that_lived_long_starts_the_count_over():
    crew = Crew({"default": 1})
    for number in range(9):
        crew.started(f"w{number}", 0.0)
        crew.ended(f"w{number}", "default", 0.5)
    crew.started("old", 0.0)

    assert crew.ended("old", "default", 3600.0).delay_s == 0.0


def test_workers_that_work_before_they_die_are_replaced_without_delay():
    crew = Crew({"default": 1})
    for number in range(20):
        crew.started(f"w{number}", 0.0)
        assert crew.ended(f"w{number}", "default", 0.5, worked=True).delay_s == 0.0
    for number in range(9):
        crew.started(f"idle{number}", 0.0)
        crew.ended(f"idle{number}", "default", 0.5)
    crew.started("busy", 0.0)

    assert crew.ended("busy", "default", 0.5, worked=True).delay_s == 0.0


def test_a_worker_that_cannot_start_waits_from_the_first_time():
    crew = Crew({"default": 1})

    assert [crew.failed_to_start("w", "default").delay_s for _ in range(3)] == [0.1, 0.2, 0.4]


def test_timers_come_out_by_time_and_then_by_arrival():
    timers = Timers()
    for due, what in [(3.0, "late"), (1.0, "a"), (1.0, "b"), (1.0, "a")]:
        timers.add(due, what)

    assert list(timers.due(2.0)) == ["a", "b", "a"]
    assert list(timers.due(2.0)) == []
    assert list(timers.due(3.0)) == ["late"]


def test_the_wait_is_until_the_next_timer_and_never_negative():
    timers = Timers()
    assert timers.wait(10.0, 1.0) == 1.0
    timers.add(10.25, "x")
    assert timers.wait(10.0, 1.0) == 0.25
    assert timers.wait(11.0, 1.0) == 0.0


def test_what_is_forgotten_does_not_come_due_and_does_not_stay():
    timers = Timers()
    for number in range(1000):
        timers.add(float(number), number)

    for number in range(900):
        timers.forget(number)
        timers.forget(f"never there {number}")

    assert len(timers) < 500
    assert list(timers.due(2000.0)) == list(range(900, 1000))
    assert len(timers) == 0


def test_a_worker_ended_for_a_step_leaves_no_doubt_about_the_next_one():
    crew = Crew({"default": 1})
    for number in range(20):
        crew.started(f"w{number}", 1.0)
        assert crew.ended(f"w{number}", "default", 1.1, by_us=True).delay_s == 0
