"""What nobody should send, and what is answered: never a page that broke."""

import gzip
import json

import pytest
from asking import NO_PLAN, SAME_SITE, a_console, check_safe, post

IDS = [
    "x",
    "..",
    "%2e%2e",
    "%00",
    "%0d%0aX-Header:%201",
    "%ff%fe",
    "' OR 1=1 --",
    "<script>alert(1)</script>",
    NO_PLAN + "0",
    NO_PLAN.replace("-", ""),
    "\N{RIGHT-TO-LEFT OVERRIDE}",
    "a" * 5000,
]


@pytest.fixture(scope="module")
def client(client_world):
    return a_console(client_world)


@pytest.mark.parametrize("given", IDS)
def test_an_id_of_nothing_is_not_found(client, given):
    for path in (
        f"/api/plans/{given}",
        f"/api/plans/{given}/steps",
        f"/api/plans/{given}/steps/1",
        f"/api/plans/{given}/flow",
        f"/api/worlds/{given}",
        f"/api/worlds/{given}/workers",
        f"/api/bulk/{given}",
        f"/live/plans/{given}",
        f"/nothing/at/{given}",
    ):
        answer = client.get(path)
        assert answer.status_code in (400, 404), (path, answer.status_code, answer.text[:200])
        check_safe(answer)
        assert "<script>alert" not in answer.text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=-1", "page"),
        ("per_page=1000000000", "per_page"),
        ("per_page=0", "per_page"),
        ("page=1e3", "page"),
        ("page=" + "9" * 5000, "page"),
        ("order_by=;drop table plans", "order_by"),
        ("state=nonsense", "state"),
        ("state[]=paused", "state[]"),
        ("nonsense=1", "nonsense"),
        ("since=yesterday", "since"),
        ("since=0000-00-00", "since"),
        ("label=" + "x" * 300, "label"),
        ("label=a&label=b", "label"),
        ("error=%00", "error"),
        ("caller=x", "caller"),
        ("&".join(f"state=paused&a{n}=1" for n in range(500)), "a0"),
        ("&".join(["state=paused"] * 1000), "state"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused_by_its_field(client, query, field):
    answer = client.get(f"/api/plans?{query}")

    assert answer.status_code == 400, answer.text[:300]
    assert answer.json()["field"] == field


def test_a_query_without_end_is_refused(client):
    assert client.get("/api/plans?label=" + "x" * 20_000).status_code == 400


def test_headers_without_end_are_refused(client):
    answer = client.get("/api/plans", headers={"X-Much": "x" * 40_000})

    assert answer.status_code == 431
    check_safe(answer)


def sent(client, content, kind="application/json", path=f"/api/plans/{NO_PLAN}/resume", **headers):
    answer = client.post(path, content=content, headers={**SAME_SITE, "Content-Type": kind, **headers})
    check_safe(answer)
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"nonsense",
        b'{"sub_plans": true, "sub_plans": false}',
        b'{"sub_plans": "\xff\xfe"}',
        b'{"a": {"b": 1, "b": 2}}',
        b'{"sub_plans": NaN}',
        b'{"sub_plans": 1' + b"0" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"unknown": 1}',
        b'{"sub_plans": 1}',
        b'{"sub_plans": "yes"}',
        b'{"\\ud800": 1}',
        b'{"sub_plans": "\\ud800"}',
        b"[]",
        b"1",
    ],
)
def test_json_that_is_none_or_says_nothing_known_is_refused(client, content):
    status, error = sent(client, content)

    assert status == 400, error


def test_content_of_another_kind_is_refused(client):
    whole = json.dumps({"sub_plans": False}).encode()

    assert sent(client, whole, "text/plain")[0] in (403, 415)
    assert sent(client, whole, "application/xml")[0] in (403, 415)
    assert sent(client, whole, "application/json; charset=utf-16")[0] == 415
    assert sent(client, gzip.compress(whole), **{"Content-Encoding": "gzip"})[0] == 415
    assert sent(client, whole, "application/json; charset=utf-8")[0] == 404


def test_a_body_without_end_is_refused_however_it_comes(client):
    megabyte = b" " * (1024 * 1024)

    def chunks():
        for _ in range(1100):
            yield b" " * 1024

    assert sent(client, megabyte + b"{}")[0] == 413
    assert sent(client, chunks())[0] == 413
    assert sent(client, b"{}", **{"Content-Length": "999999999999999999999999999"})[0] == 413
    assert sent(client, b"{}", **{"Content-Length": "-1"})[0] == 400
    assert sent(client, b"{}", **{"Content-Length": "x"})[0] == 400


def test_forms_that_cannot_be_read_are_refused(client):
    for content in (b"a=%ff", b"\xff=1", b"&".join(b"a=1" for _ in range(2000))):
        kind = "application/x-www-form-urlencoded"
        answer = client.post("/logout", content=content, headers={**SAME_SITE, "Content-Type": kind})
        assert answer.status_code == 400
        check_safe(answer)


def test_deeds_to_what_is_not_there_are_not_found(client):
    for path, body in (
        (f"/api/plans/{NO_PLAN}/resume", {}),
        (f"/api/plans/{NO_PLAN}/cancel", {"force": True}),
        (f"/api/plans/{NO_PLAN}/halt", {}),
        (f"/api/plans/{NO_PLAN}/skip", {"step_id": 1}),
        (f"/api/plans/{NO_PLAN}/skip-and-resume", {}),
        (f"/api/plans/{NO_PLAN}/steps/1/input", {"changes": {"a": 1}}),
        (f"/api/plans/{NO_PLAN}/steps/1/event", {"event": 1}),
        ("/api/worlds/nobody/ping", {}),
        ("/api/worlds/nobody/drain", {}),
        ("/api/worlds/nobody/invalidate", {}),
        ("/api/bulk/nothing/stop", {}),
    ):
        answer = post(client, path, body)
        assert answer.status_code == 404, (path, answer.text)
        check_safe(answer)


@pytest.mark.parametrize(
    "wanted",
    [
        {"deed": "explode", "plan_ids": [NO_PLAN]},
        {"deed": "resume"},
        {"deed": "resume", "plan_ids": [NO_PLAN], "query": []},
        {"deed": "resume", "plan_ids": "x"},
        {"deed": "resume", "plan_ids": [1]},
        {"deed": "resume", "query": [["page", "-1"]]},
        {"deed": "resume", "query": [["nonsense", "1"]]},
        {"deed": "resume", "plan_ids": [NO_PLAN] * 10_001},
    ],
)
def test_bulk_deeds_that_cannot_be_meant_are_refused(client, wanted):
    assert post(client, "/api/bulk-preview", wanted).status_code in (400, 404)
    assert post(client, "/api/bulk", wanted).status_code in (400, 404)


def test_texts_that_nothing_can_store_are_refused_wherever_they_stand(client, client_world):
    from console_actions import Greets

    plan_id = client_world.plan(Greets).id
    for path, body in (
        (f"/api/plans/{plan_id}/steps/3/event", {"event": "\ud800"}),
        (f"/api/plans/{plan_id}/steps/3/input", {"changes": {"\ud800": 1}}),
        (f"/api/plans/{plan_id}/steps/3/input", {"changes": {"a": 2**70}}),
        ("/api/bulk-preview", {"deed": "\ud800", "plan_ids": []}),
        ("/api/bulk-preview", {"deed": "resume", "plan_ids": ["\ud800"]}),
        ("/api/bulk-preview", {"deed": "resume", "query": [["\ud800", "1"]]}),
        ("/api/bulk-preview", {"deed": "resume", "query": [["label", "\ud800"]]}),
    ):
        content = json.dumps(body).encode()
        answer = client.post(path, content=content, headers={**SAME_SITE, "Content-Type": "application/json"})
        assert answer.status_code in (400, 404, 409), (path, body, answer.text)
        check_safe(answer)


def test_a_page_that_breaks_says_nothing_of_why(client_world, monkeypatch):
    console = a_console(client_world)
    monkeypatch.setattr(client_world.coordinator, "find_worlds", lambda **_: 1 / 0)

    for headers in ({}, {"Accept": "text/html"}):
        answer = console.get("/api/worlds", headers=headers)
        assert answer.status_code == 500
        assert "division" not in answer.text
        check_safe(answer)
