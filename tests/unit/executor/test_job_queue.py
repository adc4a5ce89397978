"""Jobs waiting for workers: fair between plans."""

from dynflow_mp.executor.job_queue import JobQueue


def filled(**jobs):
    queue = JobQueue()
    for plan_id, items in jobs.items():
        for item in items:
            queue.add(plan_id, item)
    return queue


def drained(queue):
    return [queue.pop() for _ in range(len(queue))]


def test_b100_an_empty_queue_gives_nothing_again_and_again():
    """Also worlds 93."""
    queue = JobQueue()

    assert queue.pop() is None
    assert queue.pop() is None
    assert len(queue) == 0


def test_b102_plans_take_turns_from_where_the_pointer_stands():
    """Also worlds 91: the order after one earlier job of plan 1."""
    queue = filled(one=["earlier"])
    queue.pop()
    for plan_id, item in [
        ("one", "1a"),
        ("one", "1b"),
        ("one", "1c"),
        ("two", "2a"),
        ("two", "2b"),
        ("three", "3a"),
    ]:
        queue.add(plan_id, item)

    assert drained(queue) == ["2a", "3a", "1a", "2b", "1b", "1c"]


def test_b104_sizes_are_known_in_total_and_by_plan():
    queue = filled(one=["a", "b", "c"], two=["d", "e"], three=["f"])

    assert len(queue) == 6
    assert queue.size_of("one") == 3
    assert queue.size_of("nobody") == 0


def test_peek_shows_what_pop_gives():
    queue = filled(one=["a", "b"], two=["c"])

    seen = [(queue.peek(), queue.pop()) for _ in range(3)]

    assert all(peeked == popped for peeked, popped in seen)
    assert queue.peek() is None


def test_jobs_put_back_come_first_in_their_old_order():
    queue = filled(one=["c", "d"])

    queue.put_back("one", ["a", "b"])

    assert drained(queue) == ["a", "b", "c", "d"]


def test_a_withdrawn_plan_leaves_the_others():
    queue = filled(one=["a", "b"], two=["c"])

    assert queue.withdraw("one") == ["a", "b"]
    assert queue.withdraw("one") == []
    assert drained(queue) == ["c"]
