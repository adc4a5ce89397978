"""Plans whose rows make no sense are shown as such, and break no page."""

import pytest
from asking import a_console, check_safe, post
from console_actions import Greets
from sqlalchemy import create_engine, text

BROKEN = {
    "a state that is none": "UPDATE dynflow_execution_plans SET state = 'nonsense'",
    "a result that is none": "UPDATE dynflow_execution_plans SET result = '<script>'",
    "a flow that is none": "UPDATE dynflow_execution_plans SET run_flow = x'c1'",
    "policies that are none": "UPDATE dynflow_execution_plans SET policies = x'ff'",
    "a history that is none": "UPDATE dynflow_execution_plans SET history = x'01'",
    "steps that are missing": "DELETE FROM dynflow_steps WHERE id > 1 AND execution_plan_id = :plan",
    "steps in no state": "UPDATE dynflow_steps SET state = 'nonsense'",
    "an error that is none": "UPDATE dynflow_steps SET state = 'error', error = x'c1'",
    "times that are none": "UPDATE dynflow_execution_plans SET started_at = 9223372036854775807",
    "an input that is none": "UPDATE dynflow_actions SET input = x'c1'",
    "actions that are missing": "DELETE FROM dynflow_actions WHERE execution_plan_id = :plan",
    "a class that is none": "UPDATE dynflow_actions SET action_class = 'os.system'",
}

TABS = (
    *(
        "plan",
        "run",
        "finalize",
        "timeline",
        "steps",
        "steps?text=x",
        "sub-plans",
        "history",
        "raw",
        "raw.txt",
    ),
    "halt",
)


@pytest.mark.parametrize("what", BROKEN)
def test_a_damaged_plan_breaks_nothing(client_world, what):
    plan_id = client_world.plan(Greets).id
    statement = BROKEN[what]
    column = "execution_plan_id" if "execution_plans" not in statement else "id"
    if ":plan" not in statement:
        statement += f" WHERE {column} = :plan"
    engine = create_engine(client_world.config.database_url)
    with engine.begin() as connection:
        connection.execute(text(statement), {"plan": plan_id})
    engine.dispose()
    console = a_console(client_world, deed_wait_s=0.05)

    for path in (
        "/api/plans",
        "/api/failures",
        f"/api/plans/{plan_id}",
        *(
            f"/api/plans/{plan_id}/{part}"
            for part in ("steps", "steps/2", "steps/2/chunks", "flow", "timeline", "waiting")
        ),
        "/metrics",
        "/plans",
        f"/plans/{plan_id}",
        *(f"/plans/{plan_id}/{tab}" for tab in TABS),
        *(f"/plans/{plan_id}/steps/{step}" for step in ("1", "2", "2/edit")),
        *(f"/plans/{plan_id}/steps/2/files/{what}.txt" for what in ("input", "output", "error", "chunks")),
        "/failures",
    ):
        answer = console.get(path)
        assert answer.status_code in (200, 303, 404, 409), (path, answer.status_code, answer.text[:500])
        check_safe(answer)
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert "<script>" not in answer.text
    for deed in ("resume", "cancel", "halt", "skip-and-resume"):
        answer = post(console, f"/api/plans/{plan_id}/{deed}")
        assert answer.status_code in (200, 202, 404, 409, 503), (deed, answer.text)
        check_safe(answer)
