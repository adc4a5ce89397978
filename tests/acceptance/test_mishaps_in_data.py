"""Data that cannot be stored, references that lead nowhere, classes that no worker knows."""

import math
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from mishap_actions import Listening, Mishap, Needs, Refers, Storing, Witness
from unharmed import a_world, assert_unharmed, the_error, worker_of
from watching import run, wait_until

from dynflow_mp import Action, DataError, PayloadTooLarge, UnknownAction

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def lasting_world(tmp_path_factory):
    with a_world(tmp_path_factory.mktemp("world"), workers=1) as world:
        yield world


@pytest.fixture
def world(lasting_world):
    yield lasting_world
    assert_unharmed(lasting_world, workers=1)


def a_cycle():
    cycle = {}
    cycle["itself"] = cycle
    return cycle


def nested(levels):
    value = "deep"
    for _ in range(levels):
        value = [value]
    return value


UNSTORABLE = [
    (object(), "input['hosts'][0]['since']: a builtins.object cannot be stored"),
    ({1, 2}, "input['hosts'][0]['since']: a builtins.set cannot be stored"),
    (math.nan, "input['hosts'][0]['since']: the float nan is not finite"),
    (-math.inf, "input['hosts'][0]['since']: the float -inf is not finite"),
    (2**64, "input['hosts'][0]['since']: the integer 18446744073709551616 needs more than 64 bits"),
    (10**5000, "input['hosts'][0]['since']: the integer … needs more than 64 bits"),
    ({1: "one"}, "input['hosts'][0]['since']: the key 1 is of type int; keys must be text"),
    ("\ud800", "input['hosts'][0]['since']: text that is no valid Unicode"),
    ({"\udfff": 1}, "input['hosts'][0]['since']: text that is no valid Unicode"),
    (nested(300), "nested deeper than 200 levels"),
    (a_cycle(), "nested deeper than 200 levels"),
    (b"x" * 5_000_000, "are more than max_payload (4,194,304 bytes)"),
]
NAMES = [
    "object",
    "set",
    "nan",
    "inf",
    "int64",
    "int5000",
    "key",
    "surrogate",
    "surrogate_key",
    "deep",
    "cycle",
    "large",
]


@pytest.mark.parametrize(("value", "words"), UNSTORABLE, ids=NAMES)
def test_an_input_that_cannot_be_stored_is_refused_at_once_with_its_place(world, value, words):
    result = world.trigger(Needs, hosts=[{"since": value}])

    assert not result.triggered
    assert isinstance(result.error, DataError)
    assert words in str(result.error)
    assert len(str(result.error)) < 2_000
    plan = world.persistence.load_execution_plan(result.id)
    assert (plan.state, plan.result) == ("stopped", "error")
    assert plan.entry_action.input == {}


def test_bytes_are_data_like_any_other(world):
    plan = run(world, Needs, key=b"\x00\xff")

    assert plan.entry_action.input == {"key": b"\x00\xff"}


@pytest.mark.parametrize(("value", "words"), UNSTORABLE, ids=NAMES)
def test_an_event_that_cannot_be_stored_is_refused_at_once(world, value, words):
    triggered = world.trigger(Listening)
    step_id = suspended_step(world, triggered.id)

    with pytest.raises(DataError) as raised:
        world.event(triggered.id, step_id, {"hosts": [{"since": value}]})

    assert words.replace("input", "event") in str(raised.value)
    assert world.event(triggered.id, step_id, "fine").result(20)
    assert triggered.finished.result(20).entry_action.output == {"event": "fine"}


def suspended_step(world, plan_id):
    def found():
        plan = world.persistence.load_execution_plan(plan_id)
        return next((step.id for step in plan.steps.values() if step.state == "suspended"), None)

    return wait_until(found, what="the suspended step")


def test_an_output_that_cannot_be_stored_is_the_step_s_error_with_its_place(world):
    pid = worker_of(world)

    error = the_error(run(world, Storing, what="an_object"))

    assert error.exception_class == "dynflow_mp.errors.DataError"
    assert error.message == "output['users'][1]['created_at']: a builtins.object cannot be stored"
    assert worker_of(world) == pid


def test_an_output_that_is_too_large_is_the_step_s_error_with_both_sizes(world):
    error = the_error(run(world, Mishap, what="too_much_output"))

    assert error.exception_class == f"dynflow_mp.errors.{PayloadTooLarge.__name__}"
    assert error.message.startswith("output: 5,000,")
    assert error.message.endswith("bytes are more than max_payload (4,194,304 bytes)")


# -- references ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "keys", "words"),
    [
        ({"ip": "::1"}, ["address"], "Step(3).output has no key 'address', which {}; it has 'ip'"),
        ({}, ["address"], "Step(3).output has no key 'address', which {}; it is empty"),
        ({"ip": "::1"}, ["ip", "v6"], "Step(3).output['ip'] has no key 'v6', which {}; it is of type str"),
        ({"ips": [1]}, ["ips", 3], "Step(3).output['ips'] has no key '3', which {}; it is a list of 1"),
        (
            {"ip": None},
            ["ip", "v6"],
            "Step(3).output['ip'] has no key 'v6', which {}; it is of type NoneType",
        ),
    ],
)
def test_a_reference_that_leads_nowhere_names_producer_place_and_what_is_there(world, output, keys, words):
    plan = run(world, Refers, output, keys)

    error = the_error(plan)
    assert error.exception_class == "dynflow_mp.errors.MissingOutput"
    assert error.message == words.format("input['host']['address'] needs")
    producer = plan.steps[3]
    assert (producer.action_class, producer.state) == ("Produces", "success")


# -- classes that no worker knows ------------------------------------------------------------------------


def test_a_class_that_no_worker_knows_pauses_the_plan_until_one_does(start_supervisor, a_client):
    ignorant = start_supervisor(app="engine_actions", workers=1)
    client = a_client()

    plan = run(client, Witness)

    error = the_error(plan)
    assert error.exception_class == f"dynflow_mp.errors.{UnknownAction.__name__}"
    assert error.message == (
        "no action class 'mishap_actions.Witness' is known here; is its module among those given "
        "with --app? Known are the actions of engine_actions"
    )
    ignorant.close()
    start_supervisor(app="mishap_actions", workers=1)
    assert client.execute(plan.id).result(30).result == "success"


def test_a_class_that_was_renamed_is_unknown_under_its_old_name(world):
    renamed = type("OldName", (Witness,), {"__module__": "mishap_actions"})

    error = the_error(run(world, renamed))

    assert "'mishap_actions.OldName'" in error.message


def test_a_class_inside_a_function_is_named_as_the_reason(world):
    class Local(Action):
        def run(self):
            pass

    error = the_error(run(world, Local))

    assert "Local' is known here; it was defined inside a function" in error.message


def test_actions_of_the_program_being_run_are_known_to_its_own_workers_and_named_for_others(
    start_supervisor, database_url, tmp_path
):
    """A class of ``__main__`` is stored under its file's name: that is the module to give to --app."""
    program = tmp_path / "my_program.py"
    program.write_text(
        textwrap.dedent(
            f"""
            import sys
            from dynflow_mp import Action, World

            class Mine(Action):
                def run(self):
                    self.output["by"] = __name__

            if __name__ == "__main__":
                with World(database_url={database_url!r}, workers=int(sys.argv[1])) as world:
                    plan = world.trigger(Mine).finished.result(30)
                    print(plan.result, *plan.errors)
            """
        )
    )

    def outcome_of(workers):
        command = [sys.executable, str(program), str(workers)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert outcome_of(1) == "success\n"

    ignorant = start_supervisor(app="engine_actions", workers=1)
    assert "no action class 'my_program.Mine' is known here" in outcome_of(0)
    ignorant.close()

    start_supervisor("--app", "my_program", app="engine_actions", workers=1, cwd=tmp_path)
    assert outcome_of(0) == "success\n"
