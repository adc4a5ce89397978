"""Action classes: how they are found, what each phase allows, what importing them costs."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
from actions_for_tests import Triage

from dynflow_mp import Action, PlanningError, UnknownAction
from dynflow_mp.actions import registry as registry_module
from dynflow_mp.actions.action import Missing, find_or_missing
from dynflow_mp.actions.event_parameter import accepts_event
from dynflow_mp.actions.policy import policy_of
from dynflow_mp.actions.registry import name_of, registry, short_name
from dynflow_mp.model.policies import ActionPolicy


def test_a_class_is_found_by_module_and_qualified_name() -> None:
    assert registry.find("actions_for_tests.Triage") is Triage


def test_a_name_that_nothing_registered_is_unknown_and_not_imported() -> None:
    with pytest.raises(UnknownAction, match=r"'antigravity\.Action'"):
        registry.find("antigravity.Action")

    assert "antigravity" not in sys.modules


def test_a_later_class_of_the_same_name_takes_the_place() -> None:
    first = type("Reloaded", (Action,), {"__module__": "shop"})
    second = type("Reloaded", (Action,), {"__module__": "shop"})

    assert registry.find("shop.Reloaded") is second
    assert registry.has(first)


def test_abstract_bases_and_ours_are_not_listed() -> None:
    class Base(Action, abstract=True):
        pass

    class Concrete(Base):
        pass

    assert {Base, Action, Missing}.isdisjoint(registry.all())
    assert Concrete in registry.all()


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"__file__": "/srv/jobs/nightly.py"}, "nightly"),
        ({"__spec__": type("Spec", (), {"name": "jobs.nightly"})(), "__file__": "x.py"}, "jobs.nightly"),
        ({}, "__main__"),
    ],
)
def test_a_class_of_the_script_being_run_is_stored_under_the_scripts_name(
    monkeypatch: pytest.MonkeyPatch, facts: dict[str, Any], name: str
) -> None:
    script = ModuleType("__main__")
    script.__dict__.update(facts)
    monkeypatch.setitem(registry_module.sys.modules, "__main__", script)

    assert name_of(type("Job", (), {"__module__": "__main__"})) == f"{name}.Job"


def test_the_modules_of_all_actions_are_known() -> None:
    assert "actions_for_tests" in registry.modules()
    assert "__main__" not in registry.modules()


def test_b001_a_class_that_is_gone_still_has_its_name() -> None:
    assert find_or_missing("shop.RenamedAction").__name__ == "RenamedAction"
    assert short_name("shop.RenamedAction") == "RenamedAction"


def test_b002_a_class_that_is_gone_is_an_action_that_cannot_do_anything() -> None:
    kind = find_or_missing("shop.RenamedAction")

    assert issubclass(kind, Action)
    assert kind not in registry.all()
    for method in ("plan", "run", "finalize"):
        with pytest.raises(UnknownAction, match=r"shop\.RenamedAction"):
            getattr(kind.__new__(kind), method)()


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda self: None, False),
        (lambda self, event=None: None, True),
        (lambda self, *events: None, True),
        (None, False),
    ],
)
def test_run_accepts_events_if_it_has_a_parameter(run: Any, expected: bool) -> None:
    kind = type("Listening", (Action,), {} if run is None else {"run": run}, abstract=True)

    assert accepts_event(kind) is expected


def test_a_decorated_run_is_asked_what_it_wraps() -> None:
    from functools import wraps

    def run(self: Any) -> None:
        pass

    @wraps(run)
    def decorated(*args: Any, **kwargs: Any) -> None:
        pass

    assert not accepts_event(type("Decorated", (Action,), {"run": decorated}, abstract=True))


def test_the_policy_of_a_plain_class_asks_for_nothing() -> None:
    assert policy_of(Triage) == ActionPolicy(None, False, "pause", False)


def test_a_queue_must_be_a_name() -> None:
    kind = type("Queueing", (Action,), {"queue": 7, "__module__": "shop"}, abstract=True)

    with pytest.raises(PlanningError, match=r"shop\.Queueing\.queue is 7"):
        policy_of(kind)


LISTING = """
import sys
from dynflow_mp import Action
import dynflow_mp.actions.phases, dynflow_mp.planning.planner
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_importing_action_phases_and_planner_loads_nothing_heavy() -> None:
    told = subprocess.run(
        [sys.executable, "-c", LISTING], capture_output=True, text=True, check=True, timeout=60
    )

    heavy = {
        "sqlalchemy",
        "zmq",
        "alembic",
        "psutil",
        "click",
        "rich",
        "threading",
        "socket",
        "logging",
        "inspect",
    }
    assert heavy.isdisjoint(told.stdout.split())


WORKER = """
import dynflow_mp, sys
dynflow_mp._in_worker = True
from dynflow_mp import World, Triggered
try:
    World()
except dynflow_mp.DynflowError as error:
    print(type(error).__name__, error)
print("sqlalchemy" in sys.modules)
"""


def test_a_worker_has_no_world_and_says_so() -> None:
    told = subprocess.run(
        [sys.executable, "-c", WORKER], capture_output=True, text=True, check=True, timeout=60
    )

    message, loaded = told.stdout.splitlines()
    assert message.startswith("WorldInWorker there is no World in a worker process")
    assert loaded == "False"


def test_every_public_name_can_be_had() -> None:
    import dynflow_mp

    assert all(getattr(dynflow_mp, name) is not None for name in dynflow_mp.__all__)
    assert dir(dynflow_mp) == sorted(dynflow_mp.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Wurld'"):
        dynflow_mp.Wurld  # noqa: B018 - asking is the test
