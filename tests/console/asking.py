"""Asking a console as browsers and programs do, in this process."""

from __future__ import annotations

import re
import time
import warnings

import pytest

with warnings.catch_warnings():
    # Starlette wants its client's successor, which is not there everywhere yet.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

from dynflow_mp.console import ConsoleSettings, create_app

BASE = "http://127.0.0.1:8008"
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}
TOKEN = "t0ken-" + "0123456789abcdef" * 2
NO_PLAN = "0190b5a4-0000-7000-8000-000000000000"

HEADERS_OF_ALL = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
}


def a_console(world, base=BASE, **settings):
    """A client of a console of its own for this world; an error in the console is an answer, as over a wire."""
    app = create_app(world, ConsoleSettings(**settings))
    return TestClient(app, base_url=base, raise_server_exceptions=False, follow_redirects=False)


def post(client, path, json=None, **headers):
    """As the console's own pages do with the API."""
    return client.post(path, json={} if json is None else json, headers={**SAME_SITE, **headers})


def csrf_of(page):
    """The token in a page's form."""
    return re.search(r'name="_csrf" value="([^"]+)"', page.text)[1]


def check_safe(answer):
    """No answer, of whatever status, lacks the headers, or tells of the inside."""
    for name, value in HEADERS_OF_ALL.items():
        assert answer.headers.get(name) == value, f"{answer.request.url}: {name}"
    assert "Traceback" not in answer.text
    assert 'File "' not in answer.text or "backtrace" in answer.text


def wait_for(condition, seconds=30.0, what="it"):
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.02)
    return found
