"""Who gets which job, and how many."""

from dynflow_mp.executor.limit_watch import Limits
from dynflow_mp.executor.pool import HORIZON_S, OVERDUE_S, Pool, queued
from dynflow_mp.model.work import FinalizeJob, StepJob


def a_job(number, plan="p", action="A", queue="default", size=10):
    return queued(StepJob(plan, number, number, 1, action, b"." * size), queue)


def a_pool(workers=1, max_credit=128, **queues):
    pool = Pool({"default": workers, **queues}, max_credit)
    for number in range(workers):
        pool.add_worker(f"w{number}", "default")
    for queue, count in queues.items():
        for number in range(count):
            pool.add_worker(f"{queue}{number}", queue)
    return pool


def given(assignments):
    return {
        assignment.worker_id: [item.job.step_id for _, item in assignment.numbered]
        for assignment in assignments
    }


def measured(pool, cost_s, action="A"):
    """Teach the pool what a class costs."""
    for _ in range(30):
        pool.add(a_job(0, plan="lesson", action=action), 0.0)
        for assignment in pool.assign(0.0):
            for number, _ in assignment.numbered:
                pool.finished(assignment.worker_id, number, cost_s, 0.0)


def test_a_class_nobody_has_measured_travels_alone():
    pool = a_pool(workers=2)
    for number in range(1, 6):
        pool.add(a_job(number), 0.0)

    assert given(pool.assign(0.0)) == {"w0": [1], "w1": [2]}
    assert pool.assign(0.0) == []


def test_quick_steps_travel_in_batches_shared_among_the_workers():
    pool = a_pool(workers=2)
    measured(pool, 0.00001)
    for number in range(1, 101):
        pool.add(a_job(number), 0.0)

    sent = given(pool.assign(0.0))

    assert {worker: len(steps) for worker, steps in sent.items()} == {"w0": 50, "w1": 50}


def test_a_worker_holds_no_more_than_its_credit():
    pool = a_pool(max_credit=16)
    measured(pool, 0.00001)
    for number in range(1, 101):
        pool.add(a_job(number), 0.0)

    assert len(given(pool.assign(0.0))["w0"]) == 16
    assert pool.in_flight == 16


def test_a_worker_holds_work_for_about_the_horizon():
    pool = a_pool()
    measured(pool, HORIZON_S / 4)
    for number in range(1, 101):
        pool.add(a_job(number), 0.0)

    assert 3 <= len(given(pool.assign(0.0))["w0"]) <= 4


def test_slow_steps_travel_one_at_a_time():
    pool = a_pool()
    measured(pool, 1.0)
    pool.add(a_job(1), 0.0)
    pool.add(a_job(2), 0.0)

    assert given(pool.assign(0.0)) == {"w0": [1]}


def test_large_jobs_do_not_travel_together():
    pool = a_pool()
    measured(pool, 0.00001)
    for number in (1, 2, 3):
        pool.add(a_job(number, size=3 * 1024 * 1024), 0.0)

    assert given(pool.assign(0.0)) == {"w0": [1]}


def test_plans_share_the_workers_fairly():
    pool = a_pool(max_credit=6)
    measured(pool, 0.00001)
    for number in range(1, 100):
        pool.add(a_job(number, plan="large"), 0.0)
    pool.add(a_job(1001, plan="small"), 0.0)
    pool.add(a_job(1002, plan="small"), 0.0)

    steps = given(pool.assign(0.0))["w0"]

    assert 1001 in steps
    assert 1002 in steps


def test_a_queue_is_served_by_its_own_workers():
    pool = a_pool(slow=1)
    pool.add(a_job(1, queue="slow"), 0.0)
    pool.add(a_job(2), 0.0)

    assert given(pool.assign(0.0)) == {"w0": [2], "slow0": [1]}


def test_an_unknown_queue_falls_back_to_the_default_one_and_says_so():
    pool = a_pool()

    assert pool.add(a_job(1, queue="gpu"), 0.0) is False
    assert given(pool.assign(0.0)) == {"w0": [1]}


def test_without_a_default_queue_the_first_one_serves_unknown_names():
    pool = Pool({"slow": 1}, 8)
    pool.add_worker("s", "slow")

    pool.add(a_job(1), 0.0)

    assert given(pool.assign(0.0)) == {"s": [1]}


def test_what_a_dead_worker_had_begun_is_told_from_what_it_had_not():
    pool = a_pool()
    measured(pool, 0.00001)
    for number in (1, 2, 3):
        pool.add(a_job(number), 0.0)
    (assignment,) = pool.assign(0.0)
    first = assignment.numbered[0][0]

    leftover = pool.remove_worker("w0", begun=first)

    assert [item.job.step_id for item in leftover.begun] == [1]
    assert [item.job.step_id for item in leftover.not_begun] == [2, 3]


def test_returned_jobs_go_first_again():
    pool = a_pool()
    measured(pool, 0.00001)
    for number in (1, 2, 3):
        pool.add(a_job(number), 0.0)
    (assignment,) = pool.assign(0.0)
    pool.add(a_job(4), 0.0)

    pool.put_back(pool.returned("w0", [number for number, _ in assignment.numbered[1:]]), 0.0)
    pool.finished("w0", assignment.numbered[0][0], 0.00001, 0.0)

    assert given(pool.assign(0.0)) == {"w0": [2, 3, 4]}


def test_an_answer_nobody_waits_for_is_no_one_s():
    pool = a_pool()

    assert pool.finished("w0", 17, 0.1, 0.0) is None
    assert pool.finished("stranger", 1, 0.1, 0.0) is None
    assert pool.returned("stranger", [1]) == []


def test_work_waiting_behind_a_slow_step_is_noticed_once_someone_idles():
    pool = a_pool(workers=2)
    measured(pool, 0.00001)
    for number in (1, 2, 3, 4):
        pool.add(a_job(number), 0.0)
    sent = {assignment.worker_id: assignment.numbered for assignment in pool.assign(10.0)}

    assert pool.overdue(10.0 + 2 * OVERDUE_S) == []
    for number, _ in sent["w1"]:
        pool.finished("w1", number, 0.00001, 10.0)

    assert pool.overdue(10.0 + OVERDUE_S / 2) == []
    assert pool.overdue(10.0 + 2 * OVERDUE_S) == ["w0"]


def test_a_worker_that_does_not_answer_is_not_asked_for_its_work_all_the_time():
    pool = a_pool(workers=2)
    measured(pool, 0.00001)
    for number in (1, 2, 3, 4):
        pool.add(a_job(number), 0.0)
    sent = {assignment.worker_id: assignment.numbered for assignment in pool.assign(10.0)}
    for number, _ in sent["w1"]:
        pool.finished("w1", number, 0.00001, 10.0)

    looks = [10.1 + look / 50 for look in range(150)]

    assert 1 <= sum(len(pool.overdue(now)) for now in looks) <= 4


def test_a_worker_that_was_given_more_is_asked_again_at_once():
    pool = a_pool(workers=2)
    measured(pool, 0.00001)
    for number in (1, 2):
        pool.add(a_job(number), 0.0)
        pool.assign(10.0)
    held = [worker for worker in ("w0", "w1") if pool.holds(worker)]
    for worker in held[1:]:
        pool.finished(worker, pool.given(worker), 0.00001, 10.0)
    busy = held[0]
    pool.rest("w1" if busy == "w0" else "w0")
    pool.add(a_job(3), 0.0)
    pool.assign(10.0)
    pool.go_on("w1" if busy == "w0" else "w0")
    assert pool.overdue(10.1) == [busy]
    assert pool.overdue(10.11) == []

    pool.rest("w1" if busy == "w0" else "w0")
    pool.add(a_job(4), 0.0)
    pool.assign(10.11)
    pool.go_on("w1" if busy == "w0" else "w0")

    assert pool.overdue(10.12) == [busy]


def test_free_slots_can_be_asked_for_while_workers_come_and_go():
    pool = a_pool(workers=3)
    told = []

    class Leaving:
        """A worker that another goes with while it is looked at."""

        queue, resting = "default", False

        @property
        def held(self):
            pool.remove_worker("w2", 0)
            return ()

    pool._workers["w0"] = Leaving()
    told.append(pool.free_slots())

    assert told == [{"default": 3}]


def test_status_counts_size_free_and_waiting():
    pool = a_pool(workers=2)
    for number in (1, 2, 3):
        pool.add(a_job(number), 0.0)
    pool.assign(0.0)

    assert pool.status() == {"default": {"pool_size": 2, "free_workers": 0, "queue_size": 1}}
    assert pool.status("p")["default"]["queue_size"] == 1
    assert pool.status("other")["default"]["queue_size"] == 0


def test_a_withdrawn_plan_s_jobs_do_not_travel():
    pool = a_pool()
    pool.add(a_job(1, plan="gone"), 0.0)
    pool.add(a_job(2, plan="here"), 0.0)

    pool.withdraw("gone")

    assert given(pool.assign(0.0)) == {"w0": [2]}


def a_limited_job(number, plan="p"):
    return a_job(number, plan, action="Limited")._replace(limits=Limits(1.0, None))


def test_a_call_with_limits_travels_alone_however_quick_it_is():
    pool = a_pool(workers=1)
    measured(pool, 0.00001)
    for number in range(1, 4):
        pool.add(a_limited_job(number), 0.0)
        pool.add(a_job(10 + number), 0.0)

    sent = []
    while assignments := pool.assign(0.0):
        (assignment,) = assignments
        sent.append([item.job.step_id for _, item in assignment.numbered])
        for number, _ in assignment.numbered:
            pool.finished("w0", number, 0.00001, 0.0)

    assert sorted(step for batch in sent for step in batch) == [1, 2, 3, 11, 12, 13]
    assert all(len(batch) == 1 for batch in sent if set(batch) & {1, 2, 3})


def test_who_holds_a_step_is_found():
    pool = a_pool(workers=2)
    pool.add(a_job(1), 0.0)
    pool.add(a_job(2), 0.0)
    pool.add(queued(FinalizeJob("q", (), {}), "default"), 0.0)
    pool.assign(0.0)

    assert pool.holder_of("p", 1) == ("w0", 1)
    assert pool.holder_of("q", 0) == ("w1", 1)
    assert pool.holder_of("p", 2) is None, "it waits: both workers have something to do"
    pool.finished("w0", 1, 0.1, 0.0)
    pool.assign(0.0)
    assert pool.holder_of("p", 2) == ("w0", 2)


def test_quick_steps_are_wanted_by_the_hundred_slow_ones_by_the_few():
    """As many as the workers do in a fifth of a second, and always two for each."""
    quick, middling, slow = a_pool(workers=2), a_pool(workers=2), a_pool(workers=2)
    measured(quick, 0.00001)
    measured(middling, 0.02)
    measured(slow, 5.0)

    assert quick.enough == 128
    assert 18 <= middling.enough <= 22
    assert slow.enough == 4
