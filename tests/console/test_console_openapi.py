"""The API does what its OpenAPI says, whatever it is asked: thousands of made-up requests, and none of them breaks it."""

import logging

import pytest
import schemathesis
from asking import a_console
from console_actions import FailsUnlessTold, Greets, WaitsForWord
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dynflow_mp import World
from dynflow_mp.console import create_app

HERE = {"Host": "127.0.0.1:8008", "Sec-Fetch-Site": "same-origin"}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
NOT_ALWAYS_THERE = (503, 504)
"""Said by a client without executors, and as the OpenAPI tells."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp("openapi") / "plans.db"
    with World(database_url=f"sqlite:///{path}", no_executor_timeout_s=0.2) as world:
        for kind in (Greets, FailsUnlessTold, WaitsForWord):
            world.plan(kind, name="ann")
        yield world


def test_its_openapi_is_complete(world):
    told = a_console(world).get("/api/openapi.json").json()

    assert told["openapi"].startswith("3.1")
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            assert "422" not in operation["responses"]
            assert {"400", "401", "403", "404", "409"} <= set(operation["responses"])


def test_g41_what_is_sent_goes_to_no_telemetry():
    from dynflow_mp.console.api.app import create_api

    telemetry = getattr(create_api(), "_native_telemetry", None)

    assert telemetry is None or not telemetry.enabled()


def asked_at_random(world, each):
    """How many requests were made, ``each`` of every operation; fails with the first that breaks something."""
    app = create_app(world, None)
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=HERE)
    known = [line.id for line in world.persistence.page_of_plans(_all()).plans]
    made, statuses = 0, {}
    for found in schema.get_all_operations():
        operation = found.ok()

        def ask(case):
            nonlocal made
            made += 1
            if "plan_id" in (case.path_parameters or {}) and made % 2:
                case.path_parameters["plan_id"] = known[made // 2 % len(known)]
            answer = case.call(headers=HERE)
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            if answer.status_code not in NOT_ALWAYS_THERE:
                case.validate_response(answer, checks=CHECKS)

        settings(
            max_examples=each,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )(given(case=operation.as_strategy())(ask))()
    return made, statuses


def _all():
    from dynflow_mp.reading.plan_query import PlanQuery

    return PlanQuery()


def test_g40_made_up_requests_are_answered_as_the_openapi_says(world, caplog):
    caplog.set_level(logging.ERROR)
    made, statuses = asked_at_random(world, 4)

    assert made > 80
    assert 500 not in statuses
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_g40_thousands_of_made_up_requests_break_nothing(world):
    made, statuses = asked_at_random(world, 100)

    print(f"{made} requests: {statuses}")
    assert made >= 2000
    assert not [status for status in statuses if status >= 500 and status not in NOT_ALWAYS_THERE]
