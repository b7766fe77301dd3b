"""The HTTP server of this process, in a thread of its own: signals and models stay with the main thread."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from raylab2f.errors import UserError

__all__ = ["bound_socket", "serving"]

_MOST_CONNECTIONS = 1000
_HEADER_SECONDS = 10.0
_IDLE_SECONDS = 15
_STARTING_SECONDS = 30.0


class _PatientProtocol(H11Protocol):
    """Ends connections on which no whole request line and headers arrive in time, so that nobody holds them for ever;
    bodies have a time of their own.
    """

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self.loop.call_later(_HEADER_SECONDS + _IDLE_SECONDS * (self.cycle is not None), self._give_up)

    def _give_up(self) -> None:
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that is bound there, and listens only when there is something that answers.

    Raises:
        UserError: the address is none of this machine's, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host {host}: there is no such address ({error}); give one of this machine.") from error
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind(address)
    except OSError as error:
        found.close()
        raise UserError(
            f"--port {port}: {host} cannot be listened at ({error.strerror}); give another --port or --host."
        ) from error
    return found


@contextmanager
def serving(app: ASGIApp, listening: socket.socket, patience: float) -> Iterator[threading.Thread]:
    """Answer requests during the block; at its end those that have arrived are answered first.

    Arguments:
        listening: where; closed in the end.
        patience: seconds within which the last answers must have been given.

    Returns:
        The thread that serves; it ends by itself only if the server fails.
    """
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        http=_PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=max(1, round(patience)),
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="http", daemon=True)
    thread.start()
    try:
        _await_start(server, thread)
        yield thread
    finally:
        server.should_exit = True
        thread.join(patience + 5)
        with suppress(OSError):
            listening.close()


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    pause = threading.Event()
    waited = 0.0
    while not server.started:
        pause.wait(0.02)
        waited += 0.02
        if not thread.is_alive() or waited > _STARTING_SECONDS:
            raise UserError("The HTTP server did not start; give another --port.")
