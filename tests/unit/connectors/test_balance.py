"""Which executor gets a request that any may take, and whose turn it is among equals."""

from __future__ import annotations

from dynflow_mp.connectors.balance import Balance
from dynflow_mp.connectors.connector import Executor
from dynflow_mp.errors import NoExecutor
from dynflow_mp.model.messages import ANY_EXECUTOR, Accepted, Done, Envelope, Execution, Failed, Ping


def executor(world_id: str, **free: int) -> Executor:
    return Executor(world_id, f"ipc:///{world_id}", free)


def request(number: int, queue: str = "default") -> Envelope:
    return Envelope("client", ANY_EXECUTOR, f"client-{number}", Execution(f"plan-{number}", queue))


def chosen(balance: Balance, executors: list[Executor], times: int, queue: str = "default") -> list[str]:
    """Where that many requests go, none of them ever answered."""
    ids = []
    for number in range(times):
        choice = balance.choose(executors, queue)
        assert choice is not None
        balance.sent(request(balance.outstanding + number * 1000, queue), choice)
        ids.append(choice.world_id)
    return ids


def turns(balance: Balance, names: str, times: int) -> str:
    """Who is chosen among these executors, all with the same room, that many times."""
    executors = [executor(name, default=1) for name in names]
    choices = [balance.choose(executors) for _ in range(times)]
    return "".join(choice.world_id for choice in choices if choice is not None)


# -- taking turns --------------------------------------------------------------------------------


def test_without_executors_it_is_nobodys_turn() -> None:
    """Worlds 20."""
    assert turns(Balance(), "", 3) == ""


def test_one_executor_has_every_turn() -> None:
    """Worlds 21."""
    assert turns(Balance(), "a", 3) == "aaa"


def test_equals_take_turns() -> None:
    assert turns(Balance(), "ab", 5) == "ababa"


def test_when_the_first_is_gone_the_second_has_every_turn() -> None:
    """Worlds 23."""
    balance = Balance()
    turns(balance, "ab", 1)

    assert turns(balance, "b", 3) == "bbb"


def test_when_both_are_gone_it_is_nobodys_turn() -> None:
    """Worlds 24."""
    balance = Balance()
    turns(balance, "ab", 1)

    assert turns(balance, "", 1) == ""


def test_one_that_is_gone_costs_nobody_else_a_turn() -> None:
    balance = Balance()
    turns(balance, "abc", 1)

    assert turns(balance, "bc", 4) == "bcbc"


# -- any executor --------------------------------------------------------------------------------


def test_without_executors_nobody_is_chosen() -> None:
    assert Balance().choose([]) is None


def test_equal_executors_take_turns() -> None:
    executors = [executor("x", default=2), executor("y", default=2), executor("z", default=2)]

    ids = chosen(Balance(), executors, 6)

    assert sorted(ids[:3]) == sorted(ids[3:]) == ["x", "y", "z"]


def test_the_one_with_more_free_slots_gets_more() -> None:
    ids = chosen(Balance(), [executor("x", default=4), executor("y", default=1)], 4)

    assert ids.count("x") == 4 - ids.count("y")
    assert ids[:3] == ["x", "x", "x"]


def test_executors_that_are_full_still_share() -> None:
    ids = chosen(Balance(), [executor("x", default=0), executor("y", default=0)], 4)

    assert ids.count("x") == ids.count("y") == 2


def test_only_the_asked_queue_counts() -> None:
    executors = [executor("x", default=9, slow=0), executor("y", default=0, slow=3)]

    assert chosen(Balance(), executors, 1, "slow") == ["y"]


def test_an_executor_without_the_queue_is_weighed_by_its_default_one() -> None:
    executors = [executor("x", default=1), executor("y", default=3)]

    ids = chosen(Balance(), executors, 4, "unknown")

    assert ids.count("y") == 3


def test_answered_requests_make_room_again() -> None:
    balance = Balance()
    x, y = executor("x", default=2), executor("y", default=1)
    for number in range(2):
        balance.sent(request(number), x)

    balance.answered(Envelope("x", "client", "client-0", Done()))
    balance.answered(Envelope("x", "client", "client-1", Failed.of(NoExecutor("gone"))))

    assert balance.choose([x, y]) == x
    assert balance.outstanding == 0


def test_an_accepted_request_still_occupies_its_executor() -> None:
    balance = Balance()
    balance.sent(request(1), executor("x", default=1))

    balance.answered(Envelope("x", "client", "client-1", Accepted()))

    assert balance.outstanding == 1


def test_a_request_sent_again_elsewhere_counts_there_only() -> None:
    balance = Balance()
    x, y = executor("x", default=1), executor("y", default=1)
    balance.sent(request(1), x)

    balance.sent(request(1), y)

    assert balance.outstanding == 1
    assert balance.choose([x, y]) == x


def test_only_executions_occupy_an_executor() -> None:
    balance = Balance()

    balance.sent(Envelope("client", "x", "client-1", Ping()), executor("x", default=1))

    assert balance.outstanding == 0


def test_turns_of_executors_long_gone_are_forgotten() -> None:
    balance = Balance()

    for number in range(1000):
        balance.choose([executor(f"x{number}", default=1)])

    assert len(balance._last_turn) < 100
