"""Templates become pages: all text is escaped, all links know where the console is mounted.

render(request, "plan.html", plan=…)      see_other(request, "plan", plan_id=…, notice="resumed")
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dynflow_mp import __version__
from dynflow_mp.console import wording
from dynflow_mp.console.notices import put_notice, taken_notice
from dynflow_mp.console.parts import is_part
from dynflow_mp.console.places import prefix_of
from dynflow_mp.console.plain_values import plain
from dynflow_mp.console.security.credentials import SESSION_COOKIE
from dynflow_mp.console.views import words


def path_for(request: Request, name: str, /, query: Any = None, **params: Any) -> str:
    """The path of a page of this console, from the root of its host; ``query`` is a mapping or pairs.

    Not a whole URL: what the browser is shown then needs no belief in what a proxy says about itself.
    """
    path = f"{prefix_of(request.scope)}{request.state.console.url_path_for(name, **params)}"
    pairs = query.items() if isinstance(query, Mapping) else query
    return f"{path}?{urlencode(list(pairs))}" if pairs else path


def render(
    request: Request,
    template: str,
    /,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """A page from ``templates/``.

    Besides ``values`` a template has ``request``, ``settings``, ``user``, ``in_session`` (who logged in may log out), ``csrf_token``, ``notice`` (what the last deed
    came to, once), ``part`` (of a page that is open), ``version`` and ``url_for(name, query=…, **params)``.
    """
    state = request.state
    notice = taken_notice(request)
    page = _environment.get_template(template).render(
        {
            "request": request,
            "settings": state.settings,
            "user": getattr(state, "user", None),
            "in_session": bool(getattr(state, "user", None)) and SESSION_COOKIE in request.cookies,
            "csrf_token": getattr(state, "csrf_token", ""),
            "notice": notice,
            "part": is_part(request),
            "version": __version__,
            **values,
        }
    )
    response = HTMLResponse(page, status_code, dict(headers or {}))
    if notice is not None:
        put_notice(request, response, None)
    return response


def see_other(
    request: Request, name: str, /, *, notice: str | None = None, query: Any = None, **params: Any
) -> Response:
    """After a deed: the browser shows this page next, with the notice once."""
    return go_to(request, path_for(request, name, query=query, **params), notice)


def go_to(request: Request, path: str, notice: str | None = None) -> Response:
    """Like :func:`see_other`, to a path that is known already."""
    response = RedirectResponse(path, 303)
    if notice is not None:
        put_notice(request, response, notice)
    return response


def pretty(value: Any) -> str:
    """Data as indented JSON; what JSON does not have is written as text."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False)


@pass_context
def _url_for(context: Context, name: str, /, query: Any = None, **params: Any) -> str:
    return path_for(context["request"], name, query=query, **params)


def _made_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dynflow_mp.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["url_for"] = _url_for
    environment.filters.update(
        time=wording.time_text,
        iso=wording.iso_text,
        duration=wording.duration_text,
        ago=wording.ago_text,
        bytes=wording.bytes_text,
        count=wording.count_text,
        percent=wording.percent_text,
        pretty=pretty,
        **words.FILTERS,
    )
    return environment


_environment = _made_environment()
