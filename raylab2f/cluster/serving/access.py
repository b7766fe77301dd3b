"""Who may ask: a bearer token, and, where there is none, only names of this machine."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["OPEN_PATHS", "Gate", "RefusingResponse"]

#: What anybody may see: pages that hold nothing, and whether the server lives.
OPEN_PATHS = frozenset({"/", "/page.js", "/page.css", "/docs", "/openapi.json", "/healthz"})

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
# So long what a client still sends is thrown away, so that it comes to read why it is refused.
_DRAIN_SECONDS = 2.0
_BODY = "raylab2f.body"
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class RefusingResponse(Response):
    """`{"error": SENTENCE}`; what the client has not sent yet is not waited for, and the connection ends."""

    media_type = "application/json"

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(
            json.dumps({"error": sentence}), status, {**_HEADERS, **(headers or {}), "Connection": "close"}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        body = scope.get(_BODY)
        if body is None or not body.ended:
            with suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(_drain(receive), _DRAIN_SECONDS)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Body:
    """What a client sends, and whether all of it has arrived."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self.ended = receive, False

    async def receive(self) -> Message:
        message = await self._receive()
        self.ended = self.ended or not message.get("more_body")
        return message


async def _drain(receive: Receive) -> None:
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return


class Gate:
    """Lets in who shows the token; without one, whoever calls this machine by a local name, so that no page from
    elsewhere reaches the server through a browser on it.

    Arguments:
        app: what lies behind.
        token: `None`: none is needed.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if scope["type"] == "http" and scope["method"] == "HEAD":
            # Answered as GET is; the server leaves the body out. Whoever looks whether it lives asks so.
            scope = {**scope, "method": "GET"}
        body = _Body(receive)
        scope = {**scope, _BODY: body}
        await (self._app if refusal is None else refusal)(scope, body.receive, send)

    def _refusal(self, scope: Scope) -> RefusingResponse | None:
        headers = Headers(scope=scope)
        if self._token is None:
            host = headers.get("host", "")
            name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
            if name.lower() in _LOCAL_NAMES:
                return None
            return RefusingResponse(421, "Without a token this server answers to localhost only; call it by that name.")
        if scope["path"] in OPEN_PATHS:
            return None
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        # In constant time, so that nobody finds the token letter by letter.
        if scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), self._token):
            return None
        return RefusingResponse(
            401,
            "The token is missing or wrong; send it as Authorization: Bearer TOKEN.",
            {"WWW-Authenticate": "Bearer"},
        )
