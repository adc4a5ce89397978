"""A console within another application, or behind a proxy that gives it a path."""

import re

import pytest
from asking import HEADERS_OF_ALL, SAME_SITE, TOKEN, TestClient, csrf_of
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from dynflow_mp.console import ConsoleSettings, create_app

HTML = {"Accept": "text/html"}


class NotesUser:
    """An application's own middleware, with a state of its own."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        scope.setdefault("state", {})["user"] = "the application's"
        await self.app(scope, receive, send)
        if scope["type"] == "http":
            assert scope["state"]["user"] == "the application's"
            assert "world" not in scope["state"]


@pytest.fixture
def around(client_world):
    def make(**settings):
        console = create_app(client_world, ConsoleSettings(**settings))
        routes = [
            Route("/", lambda request: PlainTextResponse("the application")),
            Mount("/ops/dynflow", console),
        ]
        app = Starlette(routes=routes, middleware=[Middleware(NotesUser)])
        return TestClient(app, base_url="http://127.0.0.1:8008", follow_redirects=False)

    return make


def links(page):
    found = re.findall(r'(?:href|src|action|hx-get|hx-post|sse-connect)="([^"]+)"', page.text)
    return [link for link in found if not link.startswith(("#", "?"))]


def test_every_link_leads_to_where_it_is_mounted(around):
    client = around()
    for path in ("/ops/dynflow/", "/ops/dynflow/plans", "/ops/dynflow/worlds", "/ops/dynflow/nowhere"):
        page = client.get(path, headers=HTML)
        if page.status_code == 303:
            assert page.headers["location"].startswith("/ops/dynflow/")
            continue
        found = links(page)
        assert found, path
        for link in found:
            assert link.startswith("/ops/dynflow/"), (path, link)


def test_the_application_around_it_stays_as_it_is(around):
    client = around()

    own = client.get("/")
    console = client.get("/ops/dynflow/api/plans")

    assert own.text == "the application"
    assert "content-security-policy" not in own.headers
    assert console.status_code == 200
    assert console.headers["content-security-policy"] == HEADERS_OF_ALL["content-security-policy"]


def test_it_lives_in_a_fastapi_application_as_well(client_world):
    app = FastAPI()
    app.mount("/ops", create_app(client_world))
    client = TestClient(app, base_url="http://127.0.0.1:8008", follow_redirects=False)

    assert client.get("/ops/api/plans").json()["total"] == 0
    assert client.get("/ops/api/plans?page=-1").status_code == 400
    assert client.get("/ops/api/nothing").json()["status"] == 404
    assert client.post("/ops/api/validity-check", json={}, headers=SAME_SITE).status_code == 200
    assert "/ops/static/" in client.get("/ops/nothing", headers=HTML).text


def test_its_cookie_is_for_its_own_path(around):
    client = around(token=TOKEN)
    page = client.get("/ops/dynflow/plans", headers=HTML)
    assert page.status_code == 401

    answer = client.post(
        "/ops/dynflow/login",
        data={"_csrf": csrf_of(page), "token": TOKEN, "next": "/ops/dynflow/plans"},
        headers=SAME_SITE,
    )

    assert answer.headers["location"] == "/ops/dynflow/plans"
    assert "path=/ops/dynflow;" in answer.headers["set-cookie"].lower()
    assert client.get("/ops/dynflow/api/plans").status_code == 200


def test_after_logging_in_nobody_is_led_out_of_it(around):
    client = around(token=TOKEN)
    page = client.get("/ops/dynflow/", headers=HTML)
    form = {"_csrf": csrf_of(page), "token": TOKEN, "next": "/elsewhere"}

    answer = client.post("/ops/dynflow/login", data=form, headers=SAME_SITE)

    assert answer.headers["location"] == "/ops/dynflow/"


@pytest.mark.parametrize("path", ["/dyn", "/dyn/plans", "/plans"])
def test_behind_a_proxy_it_has_its_prefix_whether_that_is_taken_off_or_not(client_world, path):
    app = create_app(client_world, ConsoleSettings(prefix="/dyn"))
    client = TestClient(app, base_url="http://127.0.0.1:8008", follow_redirects=False)

    page = client.get(path, headers=HTML)

    assert page.status_code in (200, 303)
    if page.status_code == 303:
        assert page.headers["location"].startswith("/dyn/")
    for link in links(page):
        assert link.startswith("/dyn/"), link


def test_its_openapi_names_the_path(around):
    told = around().get("/ops/dynflow/api/openapi.json").json()

    assert told["servers"] == [{"url": "/ops/dynflow/api"}]
