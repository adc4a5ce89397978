"""Who may make a console do something: every route, asked in every wrong way."""

import pytest
from asking import BASE, NO_PLAN, SAME_SITE, TOKEN, a_console, check_safe, csrf_of, post
from starlette.routing import Mount, Route

from dynflow_mp.console import ConsoleSettings, create_app
from dynflow_mp.console.settings import TrustedProxy
from dynflow_mp.errors import ConfigError

VALUES = {"plan_id": NO_PLAN, "step_id": "1", "world_id": "nobody", "run_id": "none", "path": "console.css"}
OPEN = {"/healthz", "/readyz"}


def all_routes(app):
    """Each path with a method it has."""
    found = []
    for route in app.routes:
        if isinstance(route, Route):
            found += [(method, route.path) for method in sorted(route.methods - {"HEAD"})]
        elif isinstance(route, Mount) and route.path == "/api":
            operations = route.app.openapi()["paths"].items()
            found += [(method.upper(), f"/api{path}") for path, each in operations for method in each]
            found.append(("GET", "/api/openapi.json"))
        elif isinstance(route, Mount):
            found.append(("GET", f"{route.path}/{{path}}"))
    return [(method, filled(path)) for method, path in found if not path.startswith("/live")]


def filled(path):
    for name, value in VALUES.items():
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    return path


@pytest.fixture(scope="module")
def routes(client_world):
    return all_routes(create_app(client_world))


@pytest.fixture
def client(client_world):
    return a_console(client_world)


def test_g40_only_names_of_this_console_are_answered(client, routes):
    for method, path in routes:
        if path not in OPEN:
            for host in ("evil.example", "evil.example:8008", "127.0.0.1.evil.example", "localhost@evil", ""):
                answer = client.request(method, path, headers={**SAME_SITE, "Host": host})
                assert answer.status_code == 421, (method, path, host)
                check_safe(answer)


def test_g40_nothing_is_changed_from_another_site(client, routes):
    wrong = [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": BASE},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1:8008"},
        {"Referer": f"{BASE}/"},
    ]
    changing = [(method, path) for method, path in routes if method != "GET"]
    assert len(changing) > 10
    for method, path in changing:
        for headers in wrong:
            kind = "application/json" if path.startswith("/api") else "application/x-www-form-urlencoded"
            answer = client.request(method, path, headers={**headers, "Content-Type": kind})
            assert answer.status_code == 403, (method, path, headers)
            check_safe(answer)


def test_g40_what_forms_of_other_sites_can_send_is_not_json(client, routes):
    kinds = ("text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "")
    for method, path in routes:
        if method != "GET" and path.startswith("/api"):
            for kind in kinds:
                headers = {**SAME_SITE, "Content-Type": kind} if kind else SAME_SITE
                answer = client.request(method, path, content=b'{"a": 1}', headers=headers)
                assert answer.status_code in (403, 415), (method, path, kind)


def test_g40_forms_without_the_token_of_a_page_change_nothing(client, routes):
    forms = [path for method, path in routes if method == "POST" and not path.startswith("/api")]
    assert forms
    for path in forms:
        for token in ({}, {"_csrf": ""}, {"_csrf": "x.1.y"}, {"_csrf": "9" * 5000}):
            answer = client.post(path, data={"x": "1", **token}, headers=SAME_SITE)
            assert answer.status_code == 403, (path, token)
            check_safe(answer)


def test_g40_a_token_of_one_user_is_none_of_another(client_world):
    passwords = {"ann": "correct-horse-1", "bob": "correct-horse-2"}
    console = a_console(client_world, passwords=passwords, token=TOKEN)
    page = console.get("/login", headers={"Accept": "text/html"})
    as_bob = console.post(
        "/logout", data={"_csrf": csrf_of(page)}, headers=SAME_SITE, auth=("bob", passwords["bob"])
    )

    assert as_bob.status_code == 403


def test_g40_reading_changes_nothing_and_changes_are_not_read(client, routes):
    posts = {path for method, path in routes if method == "POST"}
    gets = {path for method, path in routes if method == "GET"}
    for path in posts - gets:
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "TRACE"):
            headers = {**SAME_SITE, "Content-Type": "application/json"}
            answer = client.request(method, path, headers=headers)
            assert answer.status_code in (403, 404, 405, 415), (method, path)
            if method in ("GET", "HEAD"):  # not found where another page's path has the same form
                assert answer.status_code in (404, 405), (method, path)


def test_g40_nothing_is_told_without_the_token(client_world, routes):
    console = a_console(client_world, token=TOKEN)
    wrong = [{}, {"Authorization": "Bearer " + "x" * len(TOKEN)}, {"Authorization": "Basic Og=="}]
    for number, (method, path) in enumerate(routes):
        if path in {*OPEN, "/login"} or path.startswith("/static"):
            continue
        headers = {**SAME_SITE, "Content-Type": "application/json", **wrong[number % 3]}
        answer = console.request(method, path, headers=headers)
        assert answer.status_code in (401, 429), (method, path)
        check_safe(answer)


def test_g40_a_console_beyond_loopback_needs_to_know_its_users(client_world):
    for settings in (
        {"host": "0.0.0.0"},
        {"host": "192.0.2.7"},
        {"host": "::"},
        {"host": "console.example"},
        {"allowed_hosts": ("console.example",)},
    ):
        with pytest.raises(ConfigError, match="needs to know its users"):
            ConsoleSettings(**settings)
        assert ConsoleSettings(**settings, token=TOKEN).protected
        assert ConsoleSettings(**settings, passwords={"ann": "correct-horse-1"}).protected
        assert ConsoleSettings(**settings, proxy=TrustedProxy(user_header="X-User", secret=TOKEN)).protected


def test_g40_a_read_only_console_changes_nothing(client_world, routes):
    console = a_console(client_world, read_only=True)
    for method, path in routes:
        if method != "GET" and path.startswith("/api"):
            answer = post(console, path)
            assert answer.status_code == 403, path
            assert "reading only" in answer.json()["error"]


def test_g40_feeds_are_for_those_who_may_read(client, client_world):
    protected = a_console(client_world, token=TOKEN)
    for path in ("/live/plans", f"/live/plans/{NO_PLAN}", "/live/worlds"):
        assert client.get(path, headers={"Host": "evil.example"}).status_code == 421
        assert protected.get(path).status_code == 401
        assert client.post(path, json={}, headers=SAME_SITE).status_code in (403, 405, 415)


def test_g40_every_answer_has_the_headers(client, routes):
    for method, path in routes:
        check_safe(client.request(method, path))
    for path in ("/nowhere", "/api/nowhere", "/static/nowhere", "/static/../app.py", "/api"):
        answer = client.get(path)
        assert answer.status_code == 404
        check_safe(answer)


def test_g40_the_console_cannot_be_read_by_scripts_of_others(client, routes):
    for method, path in routes:
        answer = client.request(method, path, headers={"Origin": "http://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]
        preflight = client.options(
            path, headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        )
        assert preflight.status_code in (405, 404)
