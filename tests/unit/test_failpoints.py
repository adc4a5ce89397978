"""Failpoints: armed only on purpose, complete, carried out once."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dynflow_mp import failpoints
from dynflow_mp.config import Config
from dynflow_mp.failpoints import MOMENTS, FailpointRaised, Order, failpoint, parsed, prepare

ROOT = Path(__file__).parents[2]
USERS_OWN = {"in_run", "in_finalize"}
"""Places in the user's code: there the chaos tests' actions call the failpoint."""


@pytest.fixture
def armed(tmp_path, monkeypatch):
    """This process, armed; returns a function that gives orders."""
    directory = prepare(tmp_path / "armed")
    monkeypatch.setattr(failpoints, "_armed", None)
    failpoints.arm(str(directory))

    def order(text):
        written = directory / "next"
        written.write_text(text)
        written.replace(directory / "orders")
        return directory

    return order


def places_in(directory):
    """Names with which ``failpoint`` is called below a directory."""
    for path in directory.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "failpoint":
                yield ast.literal_eval(node.args[0])


def test_the_fifteen_moments_are_each_one_place_in_the_code():
    in_engine = sorted(places_in(ROOT / "dynflow_mp"))
    in_users_code = set(places_in(ROOT / "tests" / "chaos"))

    assert [text.partition(":")[0] for text in MOMENTS.values()] == [f"M{n}" for n in range(1, 16)]
    assert in_engine == sorted(set(MOMENTS) - USERS_OWN)
    assert in_users_code == USERS_OWN


def test_a_process_that_is_not_armed_passes_every_place(monkeypatch):
    monkeypatch.setattr(failpoints, "_armed", None)

    for name in MOMENTS:
        failpoint(name, when=lambda: pytest.fail("asked although nobody is interested"))


def test_an_order_is_carried_out_once_at_its_passing(armed):
    directory = armed("jobs_received=raise@2")

    failpoint("jobs_received")
    with pytest.raises(FailpointRaised, match="jobs_received"):
        failpoint("jobs_received")
    failpoint("jobs_received")
    failpoint("outcomes_heard")

    assert (directory / "fired-jobs_received").read_text() == f"{os.getpid()} raise\n"


def test_an_order_that_is_given_again_is_carried_out_again_whatever_number_its_file_has(armed):
    directory = armed("turn_over=raise")
    first = (directory / "orders").stat()
    with pytest.raises(FailpointRaised):
        failpoint("turn_over")
    (directory / "fired-turn_over").unlink()
    os.utime(
        directory / "orders", ns=(0, first.st_mtime_ns + 1)
    )  # the same file: it has the number of the one before

    with pytest.raises(FailpointRaised):
        failpoint("turn_over")


def test_a_place_that_is_not_the_moment_does_not_count(armed):
    armed("outcomes_heard=raise")

    failpoint("outcomes_heard", when=lambda: False)
    with pytest.raises(FailpointRaised):
        failpoint("outcomes_heard", when=lambda: True)


def test_what_another_process_has_done_is_not_done_again(armed):
    directory = armed("in_run=raise")
    (directory / "fired-in_run").write_text("1 raise\n")

    failpoint("in_run")


def test_a_place_may_say_what_it_raises(armed):
    armed("plan_claimed=raise")

    with pytest.raises(KeyError):
        failpoint("plan_claimed", raises=KeyError)


def test_what_hangs_goes_on_once_it_is_released(armed):
    directory = armed("turn_over=hang")
    passing = threading.Thread(target=failpoint, args=("turn_over",))

    passing.start()
    while not (directory / "fired-turn_over").exists():
        assert passing.is_alive()
    passing.join(0.05)
    assert passing.is_alive()
    (directory / "release-turn_over").touch()
    passing.join(20)

    assert not passing.is_alive()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nowhere=kill9", "no place is called 'nowhere'"),
        ("in_run=explode", "'explode' is none of kill9"),
        ("in_run=kill9@0", "'0' is no number from 1"),
        ("in_run=kill9@x", "'x' is no number from 1"),
        ("in_run", "'' is none of kill9"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_named(text, why):
    with pytest.raises(ValueError, match=why):
        parsed(text)


def test_orders_are_several():
    assert parsed(" in_run=kill9@3; turn_over=hang ;") == {
        "in_run": Order("kill9", 3),
        "turn_over": Order("hang", 1),
    }


PROGRAM = "from dynflow_mp.failpoints import failpoint; failpoint('in_run'); print('passed')"


def passes(tmp_path, **variables):
    """What became of a process that passes the place."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout.strip()


def test_both_variables_and_a_prepared_directory_arm_a_process(tmp_path):
    armed_by = str(prepare(tmp_path / "armed"))

    killed = passes(tmp_path, DYNFLOW_FAILPOINTS="in_run=kill9", DYNFLOW_FAILPOINTS_ARMED=armed_by)

    assert killed == (-signal.SIGKILL, "")


def spoil_nothing_named(directory):
    return None


def spoil_no_token(directory):
    (directory / "armed").unlink()


def spoil_other_token(directory):
    (directory / "armed").write_text("yes")


def spoil_open_to_others(directory):
    directory.chmod(0o770)


@pytest.mark.parametrize(
    "spoil", [spoil_nothing_named, spoil_no_token, spoil_other_token, spoil_open_to_others]
)
def test_orders_alone_arm_nobody(spoil, tmp_path):
    directory = prepare(tmp_path / "armed")
    spoil(directory)
    named = {} if spoil is spoil_nothing_named else {"DYNFLOW_FAILPOINTS_ARMED": str(directory)}

    assert passes(tmp_path, DYNFLOW_FAILPOINTS="in_run=kill9", **named) == (0, "passed")


def test_the_variables_of_an_armed_process_are_not_told_as_unknown_settings(armed, recwarn):
    armed("")

    Config.load({}, {"DYNFLOW_FAILPOINTS": "", "DYNFLOW_FAILPOINTS_ARMED": "/x"})

    assert [str(warning.message) for warning in recwarn] == []


def test_the_variables_of_a_process_that_is_not_armed_are(monkeypatch):
    monkeypatch.setattr(failpoints, "_armed", None)

    with pytest.warns(UserWarning, match="DYNFLOW_FAILPOINTS is not a setting"):
        Config.load({}, {"DYNFLOW_FAILPOINTS": "in_run=kill9"})
