"""Retry policies: what can be meant, what they cover, how they are kept."""

import pytest

from dynflow_mp import BadArgument, DynflowError, Retry, WorkerLost
from dynflow_mp.model.codec import decode, encode
from dynflow_mp.model.policies import ActionPolicy, RescueStrategy, RetryPolicy, combined_strategy


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"max_attempts": 2.0},
        {"max_attempts": True},
        {"max_attempts": 10**9},
        {"backoff_s": -1},
        {"backoff_s": float("nan")},
        {"backoff_s": "soon"},
        {"factor": 0.5},
        {"factor": float("inf")},
        {"jitter": 1.5},
        {"jitter": -0.1},
        {"on": "OSError"},
        {"on": (OSError, "ValueError")},
        {"on": (int,)},
        {"not_on": 5},
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(BadArgument, match=rf"Retry\({name}="):
        Retry(**wrong)


def test_errors_are_told_by_their_classes():
    retry = Retry(on=OSError, not_on=(FileNotFoundError,))

    assert retry.covers(ConnectionError("away"))
    assert not retry.covers(FileNotFoundError("gone"))
    assert not retry.covers(ValueError("no"))
    assert Retry().covers(ValueError("no"))
    assert not Retry().covers(SystemExit(1))


@pytest.mark.parametrize(
    ("retry", "named"),
    [
        (Retry(), True),
        (Retry(on=OSError), False),
        (Retry(on=(OSError, WorkerLost)), True),
        (Retry(on=DynflowError), True),
        (Retry(not_on=WorkerLost), False),
    ],
)
def test_the_engine_s_own_errors_are_kept_by_name(retry, named):
    assert ("WorkerLost" in retry.frozen().engine_errors) is named


def test_it_is_a_value():
    assert Retry(max_attempts=2) == Retry(2)
    assert {Retry(2), Retry(2)} == {Retry(2)}
    with pytest.raises(AttributeError):
        Retry().max_attempts = 7


@pytest.mark.parametrize(
    "policy",
    [
        ActionPolicy(),
        ActionPolicy(
            "slow",
            True,
            None,
            True,
            retry=RetryPolicy(3, 1.0, 2.0, 0.5, ("WorkerLost",)),
            asks_for_rescue=True,
            sensitive=("card.number", "pin"),
        ),
    ],
)
def test_a_policy_comes_back_from_storage_as_it_was(policy):
    assert ActionPolicy.from_data(decode(encode(policy.to_data(), "policy"))) == policy


def test_a_policy_stored_by_an_earlier_version_has_defaults_for_the_rest():
    assert ActionPolicy.from_data(["slow", True, "skip", True]) == ActionPolicy("slow", True, "skip", True)


@pytest.mark.parametrize(
    ("said", "combined"),
    [
        ([], None),
        ([None], None),
        (["skip", "skip"], RescueStrategy.SKIP),
        (["fail", None], RescueStrategy.FAIL),
        (["skip", "fail"], RescueStrategy.PAUSE),
        (["skip", "pause"], RescueStrategy.PAUSE),
    ],
)
def test_strategies_are_combined(said, combined):
    assert combined_strategy(said) is combined
