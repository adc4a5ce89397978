"""What stands around actions, on real workers."""

import pytest
from around_actions import Audit, Logged, Secretive, Unbalanced
from watching import lines_of, run

from dynflow_mp import ConfigError, World

APPS = ["around_actions"]


@pytest.fixture
def log(tmp_path):
    return str(tmp_path / "log")


def test_middleware_of_a_world_stands_around_plan_here_and_run_in_its_workers(database_url, log):
    with World(database_url=database_url, workers=1, apps=APPS, middleware=[Audit]) as world:
        plan = run(world, Logged, log=log)

    assert plan.result == "success"
    assert lines_of(log) == ["run for ann", "run", "finalize"]


def test_b241_what_is_presented_otherwise_is_stored_as_it_was(world, log):
    plan = run(world, Secretive, log=log, secret="swordfish")

    assert plan.entry_action.input["secret"] == "***"
    assert plan.result == "success"
    (row,) = world._parts.store.load_actions(plan.id)
    assert b"swordfish" in row.input


def test_an_error_around_the_finalize_phase_pauses_the_plan_with_its_text(world, log):
    plan = run(world, Unbalanced, log=log)

    assert (plan.state, plan.result) == ("paused", "error")
    assert [str(error) for error in plan.errors] == ["RuntimeError: the books do not balance"]
    assert lines_of(log) == ["run", "finalize"]


def test_middleware_that_workers_cannot_find_keeps_a_world_from_starting(database_url):
    with pytest.raises(ConfigError, match="middleware"):
        World(database_url=database_url, middleware=["no colon"])
