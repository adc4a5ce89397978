"""Pages hear of changes as they come, and cost nothing when nobody listens."""

import json
import socket
import threading
import time

import httpx
import pytest
from asking import NO_PLAN, wait_for
from console_actions import Greets, WaitsForWord
from serving import served

from dynflow_mp import World
from dynflow_mp.console import ConsoleSettings, create_app
from dynflow_mp.console.security.headers import CONTENT_SECURITY_POLICY


@pytest.fixture
def app(running_world):
    return create_app(running_world, ConsoleSettings(feed_interval_s=0.05))


@pytest.fixture
def url(app):
    with served(app) as url:
        yield url


class Stream:
    """What comes from a feed, read by a thread."""

    def __init__(self, url):
        self.events, self.headers, self.ended = [], {}, False
        self._thread = threading.Thread(target=self._read, args=(url,), daemon=True)
        self._thread.start()

    def _read(self, url):
        with httpx.stream("GET", url, timeout=30) as answer:
            self.headers = answer.headers
            name = None
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    self.events.append((name, json.loads(line[6:])))
        self.ended = True

    def wait(self, condition, what):
        return wait_for(
            lambda: next((data for name, data in self.events if condition(name, data)), None), 30, what
        )


def feed_threads():
    return [thread for thread in threading.enumerate() if thread.name == "dynflow console feed"]


def test_a_page_of_a_plan_hears_how_it_goes(running_world, url):
    plan = running_world.plan(WaitsForWord)
    stream = Stream(f"{url}/live/plans/{plan.id}")
    stream.wait(lambda name, data: data["state"] == "planned", "the plan as it is")

    running_world.execute(plan.id)
    stream.wait(lambda name, data: data["steps"].get("suspended") == 1, "the waiting step")
    running_world.event(plan.id, plan.run_steps[0].id, "go")

    told = stream.wait(lambda name, data: data["state"] == "stopped", "the plan's end")
    assert told["result"] == "success"
    assert {name for name, _ in stream.events} == {"plan"}


def test_a_list_hears_of_new_plans_and_says_nothing_while_nothing_happens(running_world, url):
    stream = Stream(f"{url}/live/plans?action=Greets&per_page=5")
    stream.wait(lambda name, data: name == "plans", "the list as it is")
    quiet = len(stream.events)
    time.sleep(0.5)
    assert len(stream.events) == quiet

    plan = running_world.trigger(Greets)

    stream.wait(lambda name, data: plan.id in data["plans"], "the new plan")


def test_worlds_that_come_are_heard_of(running_world, url):
    stream = Stream(f"{url}/live/worlds")
    stream.wait(lambda name, data: running_world.id in data["worlds"], "the worlds as they are")

    with World(database_url=running_world.config.database_url, connector="database") as other:
        stream.wait(lambda name, data: other.id in data["worlds"], "the new world")


def test_the_feed_has_all_security_headers(url):
    stream = Stream(f"{url}/live/worlds")
    stream.wait(lambda name, data: True, "anything")

    assert stream.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert stream.headers["cache-control"] == "no-store"
    assert stream.headers["content-type"].startswith("text/event-stream")


def test_nobody_looks_while_nobody_listens(running_world, app, url):
    before = len(feed_threads())
    with httpx.stream("GET", f"{url}/live/worlds", timeout=20) as answer:
        lines = answer.iter_lines()
        next(lines)
        assert len(feed_threads()) == before + 1

    wait_for(lambda: len(feed_threads()) == before, 30, "the end of the feed's thread")


def test_one_look_serves_all_who_listen_to_the_same(running_world, app, url, monkeypatch):
    plan = running_world.plan(Greets)
    looks = []
    pulses = running_world.persistence.pulses

    def counted(ids):
        looks.append(tuple(ids))
        return pulses(ids)

    monkeypatch.setattr(running_world.persistence, "pulses", counted)
    streams = [Stream(f"{url}/live/plans/{plan.id}") for _ in range(5)]
    for stream in streams:
        stream.wait(lambda name, data: True, "anything")
    looks.clear()
    time.sleep(1.0)

    assert 0 < len(looks) <= 22


def test_who_listens_for_long_is_asked_again_who_it_is(running_world, app, url, monkeypatch):
    from dynflow_mp.console import live

    monkeypatch.setattr(live, "_LONGEST_S", 0.3)

    stream = Stream(f"{url}/live/worlds")

    stream.wait(lambda name, data: True, "anything")
    wait_for(lambda: stream.ended, 10, "the stream's end")
    wait_for(lambda: not app.state.feed.listeners, 10, "the listener's end")


def test_no_more_listen_than_may(running_world):
    app = create_app(running_world, ConsoleSettings(feed_interval_s=0.05, max_listeners=1))
    with served(app) as url:
        stream = Stream(f"{url}/live/worlds")
        stream.wait(lambda name, data: True, "anything")

        refused = httpx.get(f"{url}/live/worlds", headers={"Accept": "application/json"})

        assert refused.status_code == 503
        assert refused.headers["retry-after"]


def test_the_feed_of_nothing_is_not_found(url):
    assert httpx.get(f"{url}/live/plans/{NO_PLAN}").status_code == 404
    assert httpx.get(f"{url}/live/plans?page=-1").status_code == 400
    assert httpx.head(f"{url}/live/worlds").status_code == 200


def test_streams_end_with_the_server_and_with_the_world(tmp_path):
    database_url = f"sqlite:///{tmp_path}/plans.db"
    with World(database_url=database_url) as world:
        with served(create_app(world)) as url:
            stream = Stream(f"{url}/live/worlds")
            stream.wait(lambda name, data: True, "anything")
        wait_for(lambda: stream.ended, 10, "the stream's end with its server")

        with served(create_app(world)) as url:
            stream = Stream(f"{url}/live/worlds")
            stream.wait(lambda name, data: True, "anything")
            world.terminate().result(20)
            wait_for(lambda: stream.ended, 10, "the stream's end with its world")
            refused = httpx.get(f"{url}/live/worlds", headers={"Accept": "application/json"})
            assert refused.status_code == 503


def test_a_database_that_is_away_for_a_while_ends_no_stream(running_world, url, monkeypatch):
    from dynflow_mp.errors import PersistenceError

    stream = Stream(f"{url}/live/worlds")
    stream.wait(lambda name, data: True, "anything")

    def away(**filters):
        raise PersistenceError("gone", "connection")

    with monkeypatch.context() as patch:
        patch.setattr(running_world.coordinator, "find_worlds", away)
        time.sleep(0.3)
    with World(database_url=running_world.config.database_url, connector="database") as other:
        stream.wait(lambda name, data: other.id in data["worlds"], "the new world")
    assert not stream.ended


def test_what_cannot_be_looked_at_keeps_nothing_from_those_who_listen_to_something_else(
    running_world, url, monkeypatch, caplog
):
    worlds = Stream(f"{url}/live/worlds")
    plans = Stream(f"{url}/live/plans?state=stopped")
    worlds.wait(lambda name, data: True, "anything")
    plans.wait(lambda name, data: True, "anything")
    looked = []

    def broken(query):
        looked.append(query)
        raise ZeroDivisionError("nobody thought of this")

    with monkeypatch.context() as patch:
        patch.setattr(running_world.persistence, "page_of_plans", broken)
        wait_for(lambda: len(looked) > 2, what="several looks")
        with World(database_url=running_world.config.database_url, connector="database") as other:
            worlds.wait(lambda name, data: other.id in data["worlds"], "the new world")
    done = running_world.trigger(Greets)
    done.finished.result(30)
    plans.wait(lambda name, data: done.id in data["plans"], "the new plan")
    assert [record.action for record in caplog.records if record.levelname == "ERROR"] == ["feed_look_broke"]


def test_a_request_whose_headers_do_not_come_is_given_up(running_world, monkeypatch):
    from dynflow_mp.console import server

    monkeypatch.setattr(server, "_HEADERS_WITHIN_S", 0.5)
    with served(create_app(running_world)) as url:
        port = int(url.rpartition(":")[2])
        for begun in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as slow:
                slow.sendall(begun)
                assert slow.recv(1) == b""
