"""What comes with a request is read whole before it is looked at: not too much, not too slowly, and of a known kind."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import anyio
from starlette.datastructures import FormData, Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dynflow_mp.console.places import path_within
from dynflow_mp.console.refusals import Refused
from dynflow_mp.console.settings import ConsoleSettings

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
_PATIENCE_S = 10.0
_MOST_FIELDS = 1_000
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class BodyLimit:
    """Notes ``body`` and ``form`` in the request's state. Pages take forms, the API takes JSON."""

    def __init__(self, app: ASGIApp, *, settings: ConsoleSettings) -> None:
        self._app, self._most = app, settings.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] in _WITHOUT_BODY:
            scope["state"].update(body=b"", form=FormData())
            await self._app(scope, receive, send)
            return
        body = await self._read(scope, receive)
        scope["state"].update(body=body, form=_checked(scope, body))
        await self._app(scope, _again(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        length = Headers(scope=scope).get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Refused(400, "The Content-Length is no number.")
        if int(length[:20]) > self._most:
            raise self._too_large()
        chunks: list[bytes] = []
        size, more = 0, True
        with anyio.move_on_after(_PATIENCE_S):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400, "The request ended before its content.")
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > self._most:
                    raise self._too_large()
                chunks.append(chunk)
                more = message.get("more_body", False)
        if more:
            raise Refused(408, headers={"Connection": "close"})
        return b"".join(chunks)

    def _too_large(self) -> Refused:
        # The rest of it is not read: the connection is of no use any more.
        return Refused(413, f"At most {self._most:,} bytes are taken.", {"Connection": "close"})


def _again(body: bytes, receive: Receive) -> Receive:
    """What was read, for whoever reads it next."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replayed


def _checked(scope: Scope, body: bytes) -> FormData:
    """The form; empty for what is none. Raises :class:`Refused` for what cannot be read as what it says it is."""
    headers = Headers(scope=scope)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "Compressed content is not taken.")
    kind, _, parameters = headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if not body and not kind:
        return FormData()
    charset = parameters.strip().lower().replace('"', "")
    if charset not in ("", "charset=utf-8"):
        raise Refused(415, "Content is taken in UTF-8 only.")
    wanted = JSON if path_within(scope).startswith("/api/") else FORM
    if kind != wanted:
        raise Refused(415, f"The Content-Type must be {wanted} here.")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Refused(400, f"The content is not UTF-8 (at byte {error.start:,}).") from error
    return FormData() if wanted == JSON and _is_json(text) else _form(text)


def _is_json(text: str) -> bool:
    """True for JSON without twice the same key, and without what other readers of JSON do not have."""
    if text:
        try:
            json.loads(text, object_pairs_hook=_without_twice, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            what = str(error) if not isinstance(error, RecursionError) else "it is nested too deeply"
            raise Refused(400, f"The content is not JSON: {what[:200]}.") from error
    return True


def _without_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:50]!r} is there twice")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _form(text: str) -> FormData:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except UnicodeDecodeError as error:
        raise Refused(400, "The form is not UTF-8.") from error
    except ValueError as error:
        raise Refused(400, f"The form cannot be read: {error}.") from error
    return FormData([*pairs])
