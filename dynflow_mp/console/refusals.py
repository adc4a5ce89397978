"""What is answered when something is not: a page or JSON, as the asker reads it, never a trace.

raise Refused(404, "there is no such plan") ─▶ refusal(scope, …) ─▶ Response
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from dynflow_mp.console.places import path_within
from dynflow_mp.console.plain_values import plain
from dynflow_mp.redaction import without

_UNFIT = re.compile("[\ud800-\udfff]")
_MOST_TEXT = 2_000
_EXPLAINED = {
    400: "This cannot be understood.",
    401: "Who is asking?",
    403: "This is not allowed.",
    404: "There is nothing here.",
    405: "This is not done that way.",
    408: "The request came too slowly.",
    409: "This cannot be done now.",
    413: "This is too large.",
    415: "This kind of content is not taken.",
    421: "This console is not known under that name.",
    429: "Too many attempts.",
    431: "The request's headers are too large.",
    500: "Something broke here.",
    503: "This cannot be answered at the moment.",
}


class Refused(Exception):
    """A request that is answered with ``status`` and a sentence for people; ``facts`` are for programs."""

    def __init__(
        self, status: int, message: str = "", headers: Mapping[str, str] | None = None, **facts: Any
    ) -> None:
        super().__init__(message)
        self.status, self.message = status, message or told(status)
        self.headers, self.facts = dict(headers or {}), facts


def told(status: int) -> str:
    """A sentence for a status that came without one."""
    return _EXPLAINED.get(status) or title(status)


def title(status: int) -> str:
    """The status in words."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def wants_json(scope: Scope) -> bool:
    """Whether a program asks: of the API, or one that says it reads JSON and not pages."""
    path = path_within(scope)
    if path == "/api" or path.startswith("/api/"):
        return True
    accept = b"".join(value for name, value in scope["headers"] if name == b"accept").lower()
    return b"application/json" in accept and b"text/html" not in accept


def refusal(scope: Scope, refused: Refused) -> Response:
    """The answer to a request that is refused."""
    message = _fit(refused.message)
    if wants_json(scope):
        body = plain({"status": refused.status, "error": message, **refused.facts})
        return JSONResponse(body, refused.status, headers=refused.headers)
    # Imported here, since a page may be refused by what renders it.
    from dynflow_mp.console.rendering import render

    request = Request(scope)
    if refused.status == 401 and scope["state"]["settings"].token is not None:
        return _login(request, refused)
    return render(
        request,
        "error.html",
        status_code=refused.status,
        headers=refused.headers,
        status=refused.status,
        title=title(refused.status),
        message=message,
        facts=plain(refused.facts),
    )


def _login(request: Request, refused: Refused) -> Response:
    """Whoever has the token can say so right here."""
    from dynflow_mp.console.login import login_page

    wanted = _page_of(request)
    arriving = request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site"
    page = login_page(request, wanted, arriving=arriving, status_code=refused.status)
    page.headers.update(refused.headers)
    return page


def _page_of(request: Request) -> str:
    """What to show after the login: the page that was asked for; of a form, the page that it stood on.

    Wherever that leads, the login form looks at it before it goes there.
    """
    if request.method in ("GET", "HEAD"):
        path, query = str(request.scope["path"]), request.url.query
    else:
        came_from = urlsplit(request.headers.get("referer", ""))
        path, query = unquote(came_from.path), came_from.query
    return f"{quote(path)}?{query}" if query else quote(path)


def _fit(message: str) -> str:
    """What a message may bring with it, from wherever it comes: no password, no megabyte, nothing UTF-8 does not have."""
    shown = without(_UNFIT.sub("\ufffd", message))
    return shown if len(shown) <= _MOST_TEXT else f"{shown[:_MOST_TEXT]} …"
