"""What Prometheus reads, and what a load balancer asks."""

import json
import re
from pathlib import Path

import pytest
from asking import a_console, wait_for
from console_actions import FailsUnlessTold, Greets
from prometheus_client.parser import text_string_to_metric_families

from dynflow_mp import World
from dynflow_mp.console import metrics
from dynflow_mp.errors import PersistenceError

PACKAGING = Path(__file__).parents[2] / "packaging"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-")


@pytest.fixture(scope="module")
def busy_world(running_world):
    for _ in range(2):
        running_world.trigger(Greets).finished.result(30)
    running_world.trigger(FailsUnlessTold).finished.result(30)
    return running_world


def samples(console):
    text = console.get("/metrics").text
    families = text_string_to_metric_families(text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_plans_workers_and_worlds_are_counted(busy_world):
    found = samples(a_console(busy_world))

    def value(name, **labels):
        return found[name, tuple(sorted(labels.items()))]

    assert value("dynflow_database_up") == 1
    assert value("dynflow_plans", state="stopped", result="success") == 2
    assert value("dynflow_plans", state="paused", result="error") == 1
    assert value("dynflow_open_plans", action="console_actions.FailsUnlessTold", state="paused") == 1
    assert value("dynflow_active_execution_plans", state="paused") == 1
    assert value("dynflow_worlds", kind="executor", state="alive") == 1
    assert value("dynflow_queue_depth", world=busy_world.id, queue="default") == 0
    assert value("dynflow_worker_restarts_total", world=busy_world.id, queue="default") == 0
    assert value("dynflow_silent_executors") == 0
    workers = [key for key in found if key[0] == "dynflow_workers"]
    assert sum(found[key] for key in workers) == 1


def test_what_executors_have_done_is_counted_where_it_was_done(busy_world):
    found = samples(a_console(busy_world))

    def value(name, **labels):
        return found[name, tuple(sorted({"world": busy_world.id, **labels}.items()))]

    greets = {"action": "console_actions.Greets", "phase": "run"}
    fails = {"action": "console_actions.FailsUnlessTold", "phase": "run"}
    assert value("dynflow_steps_total", **greets, state="success") == 2
    assert value("dynflow_steps_total", **fails, state="error") == 1
    assert value("dynflow_step_duration_seconds_count", **greets) == 2
    assert value("dynflow_step_duration_seconds_bucket", **greets, le="+Inf") == 2
    assert 0 <= value("dynflow_step_duration_seconds_sum", **greets) < 30
    assert value("dynflow_plans_total", action="console_actions.Greets", result="success") == 2
    assert value("dynflow_plan_pauses_total", action="console_actions.FailsUnlessTold") == 1
    finished = {"action": "console_actions.Greets", "result": "success"}
    assert value("dynflow_finished_execution_plans", **finished) == 2
    assert value("dynflow_step_queue_seconds_count", queue="default") >= 3
    commits = value("dynflow_db_commit_seconds_count")
    assert commits >= 3  # one for each plan at least
    assert value("dynflow_db_commit_batch_size_count") == commits
    assert value("dynflow_messages_total", direction="in", type="Execution") == 3
    assert value("dynflow_connector_envelopes", direction="out") >= 6  # accepted, done
    assert value("dynflow_step_peak_memory_bytes", queue="default") > 1_000_000
    assert found["dynflow_clock_skew_seconds", ()] == 0  # a file has no other clock


def test_buckets_hold_what_is_below_them(busy_world):
    found = samples(a_console(busy_world))

    for name in ("dynflow_step_duration_seconds", "dynflow_step_queue_seconds", "dynflow_db_commit_seconds"):
        by_labels = {}
        for (sample, labels), count in found.items():
            if sample == f"{name}_bucket":
                le = float(dict(labels)["le"])
                by_labels.setdefault(tuple(pair for pair in labels if pair[0] != "le"), []).append(
                    (le, count)
                )
        assert by_labels
        for buckets in by_labels.values():
            counts = [count for _, count in sorted(buckets)]
            assert counts == sorted(counts)
            assert len(counts) == 13


def test_the_dashboard_and_the_alerts_ask_for_what_there_is(busy_world):
    text = a_console(busy_world).get("/metrics").text
    there = {
        family for line in text.splitlines() if line.startswith("# TYPE") for family in line.split()[2:3]
    }
    there |= {f"{name}_{end}" for name in there for end in ("bucket", "sum", "count")}

    for name in ("grafana-dashboard.json", "prometheus-alerts.yml"):
        expressions = re.findall(r"expr\"?: (.*)", (PACKAGING / name).read_text())
        asked = set(re.findall(r"\bdynflow_[a-z_]+", " ".join(expressions)))
        assert asked
        assert asked <= there, name


def test_the_dashboard_can_be_read():
    dashboard = json.loads((PACKAGING / "grafana-dashboard.json").read_text())

    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(target["expr"] for panel in panels for target in panel["targets"])


def test_no_plan_is_in_a_label(busy_world):
    assert not UUID.search(a_console(busy_world).get("/metrics").text)


def test_there_are_only_so_many_classes_in_labels(busy_world, monkeypatch):
    monkeypatch.setattr(metrics, "_MOST_CLASSES", 0)

    found = samples(a_console(busy_world))

    assert {dict(labels)["action"] for name, labels in found if name == "dynflow_open_plans"} == {"other"}


def test_scrapes_one_after_the_other_look_once(busy_world, monkeypatch):
    looks = []
    figures = busy_world.persistence.figures
    monkeypatch.setattr(busy_world.persistence, "figures", lambda most: looks.append(1) or figures(most))
    console = a_console(busy_world)

    for _ in range(20):
        assert console.get("/metrics").status_code == 200

    assert len(looks) == 1


def test_a_database_that_is_away_shows_as_such(busy_world, monkeypatch):
    def away(*_, **__):
        raise PersistenceError("connection to db with password hunter2 lost", "connection")

    monkeypatch.setattr(busy_world.persistence, "figures", away)
    monkeypatch.setattr(busy_world.coordinator, "find_worlds", away)
    console = a_console(busy_world)

    assert samples(console)["dynflow_database_up", ()] == 0
    answer = console.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "database": "no answer", "executors": 0}
    assert console.get("/healthz").status_code == 200


def test_ready_is_who_has_an_executor(tmp_path):
    database_url = f"sqlite:///{tmp_path}/plans.db"
    with World(database_url=database_url) as client:
        console = a_console(client)
        assert console.get("/readyz").status_code == 503
        with World(database_url=database_url, workers=1, apps=["console_actions"], connector="zeromq"):
            wait_for(lambda: console.get("/readyz").status_code == 200, 20, "an executor that is seen")
