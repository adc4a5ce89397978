"""Ways in: token, basic authentication, a trusted proxy, the application around it."""

import base64
import html
import re

import pytest
from asking import BASE, SAME_SITE, TOKEN, a_console, check_safe, csrf_of, post

from dynflow_mp.console.settings import TrustedProxy

PASSWORDS = {"ann": "correct-horse-battery", "bob": "staple-staple-staple"}
HTML = {"Accept": "text/html"}


def log_in(console, token=TOKEN, **form):
    page = console.get("/login", headers=HTML)
    return console.post("/login", data={"_csrf": csrf_of(page), "token": token, **form}, headers=SAME_SITE)


def test_g40_the_token_becomes_a_cookie_that_scripts_and_other_sites_do_not_have(client_world):
    console = a_console(client_world, token=TOKEN)
    assert console.get("/api/plans").status_code == 401

    answer = log_in(console)

    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "max-age=43200" in cookie
    assert TOKEN not in answer.headers["set-cookie"]
    assert console.get("/api/plans").status_code == 200


def test_g40_over_tls_the_cookie_is_kept_to_it(client_world):
    console = a_console(client_world, base="https://127.0.0.1:8008", token=TOKEN)

    assert "secure" in log_in(console).headers["set-cookie"].lower()


def test_g40_after_logging_out_the_cookie_is_gone(client_world):
    console = a_console(client_world, token=TOKEN)
    log_in(console)
    page = console.get("/login", headers=HTML)

    answer = console.post("/logout", data={"_csrf": csrf_of(page)}, headers=SAME_SITE)

    assert answer.status_code == 303
    assert console.get("/api/plans").status_code == 401


def test_whoever_is_logged_in_finds_the_way_out_and_nobody_else(client_world):
    console = a_console(client_world, token=TOKEN)
    way_out = 'action="/logout"'
    assert way_out not in console.get("/login", headers=HTML).text

    log_in(console)

    page = console.get("/plans", headers=HTML)
    assert way_out in page.text
    assert console.post("/logout", data={"_csrf": csrf_of(page)}, headers=SAME_SITE).status_code == 303
    assert console.get("/plans", headers=HTML).status_code == 401
    assert way_out not in a_console(client_world).get("/plans", headers=HTML).text


@pytest.mark.parametrize(
    ("method", "path", "referer", "then"),
    [
        ("GET", "/plans?state=paused", None, "/plans?state=paused"),
        ("POST", "/worlds/check", "http://127.0.0.1:8008/worlds?a=%20b", "/worlds?a=%20b"),
        ("POST", "/worlds/check", None, "/"),
        ("POST", "/worlds/check", "https://evil.example//evil.example/x", "/"),
    ],
)
def test_after_the_login_comes_the_page_one_was_on_and_never_a_form(
    client_world, method, path, referer, then
):
    console = a_console(client_world, token=TOKEN)
    referred = {} if referer is None else {"Referer": referer}
    page = console.request(method, path, headers={**HTML, **SAME_SITE, **referred})
    assert page.status_code == 401
    wanted = html.unescape(re.search(r'name="next" value="([^"]*)"', page.text)[1])

    answer = console.post(
        "/login", data={"_csrf": csrf_of(page), "token": TOKEN, "next": wanted}, headers=SAME_SITE
    )

    assert answer.headers["location"] == then


def test_g40_a_cookie_of_another_console_or_a_changed_one_is_worth_nothing(client_world):
    other = a_console(client_world, token=TOKEN[::-1])
    log_in(other, TOKEN[::-1])
    text = other.cookies["dynflow_console_session"]
    console = a_console(client_world, token=TOKEN)
    log_in(console)
    own = console.cookies["dynflow_console_session"].strip('"')

    for wrong in (text, own[:-2] + "xx", own.replace(".", "..", 1), "", "a.b", "a.b.c", ".", "é"):
        answer = a_console(client_world, token=TOKEN).get(
            "/api/plans", headers={"Cookie": f"dynflow_console_session={wrong}".encode()}
        )
        assert answer.status_code == 401, wrong


def test_g40_an_expired_cookie_is_worth_nothing(client_world, monkeypatch):
    from dynflow_mp.console.security import seal

    console = a_console(client_world, token=TOKEN)
    log_in(console)
    now = seal.now_us()
    monkeypatch.setattr(seal, "now_us", lambda: now + 13 * 3600 * 1_000_000)

    assert console.get("/api/plans").status_code == 401


def test_g40_ten_wrong_tokens_a_minute_and_no_more(client_world):
    console = a_console(client_world, token=TOKEN)
    tried = [console.get("/api/plans", headers={"Authorization": f"Bearer wrong{n}"}) for n in range(12)]
    right = console.get("/api/plans", headers={"Authorization": f"Bearer {TOKEN}"})
    form = log_in(console)

    assert [answer.status_code for answer in tried] == [401] * 10 + [429] * 2
    assert right.status_code == 429
    assert form.status_code == 429
    assert 0 < int(form.headers["retry-after"]) <= 61
    check_safe(form)


def test_g40_wrong_tokens_in_the_form_are_counted(client_world):
    console = a_console(client_world, token=TOKEN)
    answers = [log_in(console, "wrong" * 8).status_code for _ in range(11)]

    assert answers == [401] * 10 + [429]


def test_g40_the_form_leads_to_pages_of_this_console_alone(client_world):
    for wanted in (
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "evil",
        "javascript:alert(1)",
        "/\n/x",
    ):
        console = a_console(client_world, token=TOKEN)
        assert log_in(console, next=wanted).headers["location"] == "/"
    assert log_in(a_console(client_world, token=TOKEN), next="/plans?state=paused").headers["location"] == (
        "/plans?state=paused"
    )


def test_g40_a_login_form_of_another_site_is_refused(client_world):
    console = a_console(client_world, token=TOKEN)
    page = console.get("/login", headers=HTML)
    form = {"_csrf": csrf_of(page), "token": TOKEN}

    assert console.post("/login", data=form, headers={"Origin": "http://evil.example"}).status_code == 403
    assert console.post("/login", data={"token": TOKEN}, headers=SAME_SITE).status_code == 403


def test_who_follows_a_link_from_elsewhere_is_asked_again_from_here(client_world):
    console = a_console(client_world, token=TOKEN)

    from_elsewhere = console.get("/plans", headers={**HTML, "Sec-Fetch-Site": "cross-site"})
    from_here = console.get("/plans", headers={**HTML, **SAME_SITE})

    assert 'http-equiv="refresh"' in from_elsewhere.text
    assert 'http-equiv="refresh"' not in from_here.text
    assert 'value="/plans"' in from_here.text


def test_a_program_brings_the_token_and_says_nothing_of_where_it_is(client_world):
    console = a_console(client_world, token=TOKEN)

    answer = console.post("/api/validity-check", json={}, headers={"Authorization": f"Bearer {TOKEN}"})

    assert answer.status_code == 200


def test_g40_passwords_browsers_bring_by_themselves_prove_nothing_about_the_site(client_world):
    console = a_console(client_world, passwords=PASSWORDS)

    assert console.get("/api/plans", auth=("ann", PASSWORDS["ann"])).status_code == 200
    without = console.post("/api/validity-check", json={}, auth=("ann", PASSWORDS["ann"]))
    assert without.status_code == 403
    assert console.get("/api/plans", auth=("ann", PASSWORDS["bob"])).status_code == 401
    assert console.get("/api/plans", auth=("eve", PASSWORDS["bob"])).status_code == 401
    assert console.get("/api/plans").headers["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize(
    "given",
    ["Basic", "Basic !!!", "Basic " + base64.b64encode(b"\xff\xfe").decode(), "Bearer", "Digest x", "x"],
)
def test_g40_authorization_that_makes_no_sense_is_refused(client_world, given):
    console = a_console(client_world, passwords=PASSWORDS, token=TOKEN)

    assert console.get("/api/plans", headers={"Authorization": given}).status_code == 401


def test_g40_a_proxy_is_believed_from_its_address_with_its_secret(client_world):
    secret = "s" * 32
    own = {"X-User": "ann", "X-Dynflow-Proxy-Secret": secret}
    from_here = TrustedProxy(user_header="X-User", secret=secret, addresses=("127.0.0.0/8", "::1"))
    console = a_console(client_world, allowed_hosts=("console.example",), proxy=from_here)
    console._transport.client = ("127.0.0.1", 5000)

    assert console.get("/api/plans", headers=own).status_code == 200
    for wrong in (
        {"X-User": "ann"},
        {**own, "X-Dynflow-Proxy-Secret": "t" * 32},
        {**own, "X-User": ""},
        {**own, "X-User": "a" * 101},
        {"X-Dynflow-Proxy-Secret": secret},
    ):
        assert console.get("/api/plans", headers=wrong).status_code == 401, wrong
    console._transport.client = ("10.0.0.1", 5000)
    assert console.get("/api/plans", headers=own).status_code == 401


def test_g40_behind_a_proxy_the_origin_is_the_one_browsers_see(client_world):
    secret = "s" * 32
    own = {"X-User": "ann", "X-Dynflow-Proxy-Secret": secret, "X-Forwarded-Proto": "https"}
    proxy = TrustedProxy(user_header="X-User", secret=secret)
    console = a_console(
        client_world, base="http://console.example", allowed_hosts=("console.example",), proxy=proxy
    )
    console._transport.client = ("127.0.0.1", 5000)

    right = post(console, "/api/validity-check", **{**own, "Sec-Fetch-Site": "same-origin"})
    by_origin = console.post(
        "/api/validity-check", json={}, headers={**own, "Origin": "https://console.example"}
    )
    plain = console.post("/api/validity-check", json={}, headers={**own, "Origin": "http://console.example"})

    assert (right.status_code, by_origin.status_code, plain.status_code) == (200, 200, 403)


def test_an_application_around_it_says_who_asks(client_world):
    console = a_console(
        client_world,
        allowed_hosts=("app.example",),
        authenticator=lambda request: request.headers.get("X-Session-Of"),
    )

    assert console.get("/api/plans").status_code == 401
    assert console.get("/api/plans", headers={"X-Session-Of": "ann"}).status_code == 200


def test_health_is_told_to_everybody_and_to_probes_that_know_the_address_only(client_world):
    console = a_console(client_world, token=TOKEN)

    for path in ("/healthz", "/readyz"):
        assert console.get(path, headers={"Host": "10.0.0.7:8008"}).status_code in (200, 503)
    assert console.get("/metrics").status_code == 401
    assert console.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_g40_the_token_is_in_no_log_and_no_answer(client_world, caplog):
    caplog.set_level("DEBUG")
    console = a_console(client_world, token=TOKEN)
    answers = [log_in(console), log_in(console, TOKEN[:-1]), console.get("/", headers=HTML)]
    answers.append(console.get("/api/plans", headers={"Authorization": f"Bearer {TOKEN}"}))

    assert TOKEN not in caplog.text
    for answer in answers:
        assert TOKEN not in answer.text + str(answer.headers)
    assert TOKEN not in repr(console.app.state) + repr(BASE)
