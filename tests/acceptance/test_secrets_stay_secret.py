"""A secret in an input, an output or a database's URL: looked for wherever a world says something."""

import logging
import os
import sqlite3
import subprocess
import sys

import pytest
from watching import Supervisor

from dynflow_mp.errors import DynflowError
from dynflow_mp.reading.concealment import shown, shown_error, shown_text
from dynflow_mp.world import World

CANARY, CARD = "hunter2-canary-7f3a", "4711-4711-0815"


@pytest.fixture
def told(database_url, caplog):
    """What a supervisor and its client say of two plans that fail, and the plans."""
    from secret_actions import LogsIn, TellsItsToken

    caplog.set_level(logging.DEBUG)
    supervisor = Supervisor(database_url, "--log-level", "debug", workers=1, app="secret_actions")
    try:
        supervisor.wait_ready(60)
        with World(database_url=database_url) as client:
            plans = [
                client.trigger(LogsIn, password=CANARY, card={"number": CARD}).finished.result(60),
                client.trigger(TellsItsToken, made=CANARY).finished.result(60),
            ]
            yield supervisor, plans, caplog
    finally:
        supervisor.close()


def test_g41_secrets_are_in_no_error_no_repr_and_no_log(told):
    supervisor, plans, caplog = told
    actions = [plan.entry_action for plan in plans]
    steps = [plan.run_steps[0] for plan in plans]
    errors = [step.error for step in steps]

    said = [*map(repr, plans), *map(repr, actions), *map(repr, steps)]
    said += [str(error) for error in errors] + [line for error in errors for line in error.backtrace]
    said += [repr(error.exception) for error in errors] + [repr(step.failed_attempts) for step in steps]
    said += [str(shown(action)) for action in actions]
    said += [str(shown_error(error, action)) for error, action in zip(errors, actions, strict=True)]
    said += [shown_text(f"{CANARY} {CARD}", actions[0]), caplog.text]
    supervisor.process.terminate()
    said += list(supervisor.process.communicate(timeout=60))

    assert "does not work" in errors[0].message
    assert "the server does not like ***" in errors[1].message
    assert [text for text in said[:-2] if CANARY in text and "made" not in text] == []
    assert CANARY not in "".join(said[-2:])
    assert CARD not in "".join(said)


def test_g41_no_error_column_holds_a_secret(told, database_url):
    """Inputs and outputs are stored as they are; what is said about them is not theirs."""
    path = database_url.removeprefix("sqlite:///")
    if not database_url.startswith("sqlite"):
        pytest.skip("looks into the file")

    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT error FROM dynflow_steps UNION ALL SELECT error FROM dynflow_step_attempts "
            "UNION ALL SELECT data FROM dynflow_coordinator_records"
        ).fetchall()
    connection.close()

    texts = [bytes(row[0]) for row in rows if row[0] is not None]
    assert len(texts) >= 2
    assert not [text for text in texts if CANARY.encode() in text or CARD.encode() in text]


@pytest.mark.parametrize("url", [f"postgresql://app:{CANARY}@127.0.0.1:1/x", f"nonsense://app:{CANARY}@h/x"])
def test_g41_a_database_s_password_is_in_no_error(url):
    with pytest.raises(DynflowError) as raised:
        World(database_url=url)
    cli = subprocess.run(
        [sys.executable, "-m", "dynflow_mp.cli", "db", "check", "--database", url],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ,
    )
    program = subprocess.run(
        [sys.executable, "-m", "dynflow_mp.supervisor", "--workers", "1", "--database", url],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "DYNFLOW_DATABASE_WAIT_S": "0.1"},
    )

    assert CANARY not in "".join((str(raised.value), repr(raised.value), repr(raised.value.__cause__)))
    assert CANARY not in cli.stdout + cli.stderr + program.stdout + program.stderr
    assert cli.returncode
    assert program.returncode
