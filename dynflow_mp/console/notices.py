"""What a deed came to, told on the next page, once: in a sealed cookie, so that no link can put words there."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from dynflow_mp.console.cookies import put_cookie
from dynflow_mp.console.parts import is_part

COOKIE = "dynflow_console_notice"
_PURPOSE = "notice"
_FOR_S = 60
_LONGEST = 600


def put_notice(request: Request, response: Response, notice: str | None) -> None:
    """Have the next page say it; None: nothing any more."""
    text = None if notice is None else request.state.seal.sealed(_PURPOSE, notice[:_LONGEST], _FOR_S)
    put_cookie(request.scope, response, COOKIE, text, _FOR_S)


def taken_notice(request: Request) -> str | None:
    """What the page that comes now has to say. A part of a page that is open shows none, and leaves it to that one."""
    given = None if is_part(request) else request.cookies.get(COOKIE)
    opened: str | None = None if given is None else request.state.seal.opened(_PURPOSE, given)
    return opened
