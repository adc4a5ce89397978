"""The program's options, as people get them wrong; what is said is one line of a bearable length."""

import sys

import pytest

from dynflow_mp.supervisor import options


@pytest.fixture
def refused(monkeypatch, capsys):
    """The one line about these arguments; nothing is started for them."""
    monkeypatch.setattr(options, "set_up_log", lambda level: pytest.fail("it would have started"))
    monkeypatch.setattr(options, "fill_standard_descriptors", lambda: None)

    def refuse(*arguments):
        monkeypatch.setattr(sys, "argv", ["supervisor", *arguments])
        with pytest.raises(SystemExit) as ended:
            options.main()
        said = capsys.readouterr()
        assert (ended.value.code, said.out) == (2, "")
        assert said.err.endswith(" (-h shows all options)\n")
        assert len(said.err.splitlines()) == 1
        assert len(said.err) < 1_200
        assert said.err[:-1].isprintable()
        return said.err

    return refuse


@pytest.mark.parametrize(
    "workers", ["0", "-1", "1.5", "many", "1000000", "", "٣", "1_0", "+1", "9" * 100_000]
)
def test_a_number_of_workers_that_cannot_be_is_refused(refused, workers):
    assert "'--workers': a whole number from 1 to 512 is wanted, not '" in refused("--workers", workers)


@pytest.mark.parametrize(
    "queue", ["slow", "slow=", "=1", "slow=0", "slow=-1", "slow=1.5", "slow=٣", "x" * 100_000]
)
def test_a_queue_that_cannot_be_is_refused(refused, queue):
    assert "is not NAME=N with N from 1" in refused("--queue", queue)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--wrokers", "2"], "Did you mean '--workers'?"),
        (["--Database", "x"], "Did you mean '--database'?"),
        (["--workers"], "'--workers' requires an argument"),
        (["--log-level", "loud"], "'loud' is not one of"),
        (["--grace", "long"], "'long' is not a valid float"),
        (["--grace", "0"], "0.0 is not in the range x>0"),
        (["run"], "unexpected extra argument (run)"),
        (["\x1b[31mred\udcff"], r"(\x1b[31mred\udcff)"),
        (["--" + "x" * 100_000], "No such option"),
        (["--queue", "a=1", "--queue", "a=2"], "'a' is given twice"),
    ],
)
def test_what_is_wrong_is_named_with_the_nearest_that_is_right(refused, arguments, words):
    assert words in refused(*arguments)
