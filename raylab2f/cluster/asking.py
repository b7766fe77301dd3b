"""What is at an address that a user gave for a cluster? Asked by a process of its own, which may hang or be aborted."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

from raylab2f.cluster.surroundings import environment_with
from raylab2f.reporting.watchdog import is_verbose

__all__ = ["Answer", "ask", "knock"]

_KNOCK_SECONDS = 10.0
_ASKING_SECONDS = 60.0
_NODE_SECONDS = 5
# The process that asks imports from where this one does, and not from the current folder.
_PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from raylab2f.cluster.asking import answer; answer(sys.argv[1])"
# Ray waits so many seconds for each of the services of a head that listens but does not answer.
_IMPATIENT = {"RAY_gcs_rpc_server_connect_timeout_s": "5", "RAY_py_gcs_connect_timeout_s": "5"}

# What a client of HTTP/2, and so of gRPC, says first; the server's answer begins with a frame of settings, too.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_FRAME, _KIND, _SETTINGS = 9, 3, 4


@dataclass(frozen=True)
class Answer:
    """What was found.

    Arguments:
        kind: `cluster`: a head that lets us in; `refused`: one that does not accept the token, or wants one; `closed`:
            one whose sockets on this machine this account may not use; `web`: a web server, which may be a dashboard;
            `stranger`: something else than Ray; `silence`: nothing; `malformed`: the address is none.
        said: more about it, without a full stop.
    """

    kind: str
    said: str = ""


def ask(address: str) -> Answer:
    """Ask, within seconds, what is at `auto`, `host:port` or `ray://host:port`, with the token of the environment."""
    command = [sys.executable, "-c", _PROGRAM, address, *filter(None, sys.path)]
    with environment_with(_IMPATIENT):
        try:
            process = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=_ASKING_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return Answer("silence", f"no answer within {_ASKING_SECONDS:g} s")
    if is_verbose():
        sys.stderr.write(process.stderr)
    try:
        return Answer(**json.loads(process.stdout.splitlines()[-1]))
    except (IndexError, TypeError, ValueError):
        return Answer("silence", f"Ray's client ended with code {process.returncode}")


def answer(address: str) -> None:
    """In the process that asks: print the `Answer`."""
    print(json.dumps(asdict(_answer(address))))


def knock(address: str) -> None:
    """`OSError` if nobody listens at `host:port`; Ray would find that out after minutes."""
    _connect(address).close()


def _answer(address: str) -> Answer:
    from ray._private.services import canonicalize_bootstrap_address_or_die
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled, without annotations
    from ray.exceptions import AuthenticationError

    client = address.startswith("ray://")
    try:
        found = address.removeprefix("ray://") if client else canonicalize_bootstrap_address_or_die(address)
        # Ray itself goes to this machine's outward address where a loopback one is given.
        if stranger := _stranger_at(address if ":" in address and not client else found):
            return stranger
        if not client and (socket := _closed_socket(GcsClient(address=found))):
            return Answer("closed", socket)
    except AuthenticationError as error:
        return Answer("refused", _one_line(error))
    except ValueError as error:
        return Answer("malformed", _one_line(error))
    except Exception as error:
        # Some of Ray's calls tell of a refused token by other classes.
        kind = "refused" if "nauthenticated" in str(error) or "AuthToken" in str(error) else "silence"
        return Answer(kind, _one_line(error))
    return Answer("cluster")


def _closed_socket(head: Any) -> str | None:
    """The socket by which a program would reach the node of this machine, if it may not; Ray aborts without a word."""
    from ray._private.services import get_node_to_connect_for_driver

    try:
        path = get_node_to_connect_for_driver(head, timeout_seconds=_NODE_SECONDS).raylet_socket_name
    except Exception:
        # No node of this machine's is found; Ray itself says so.
        return None
    return None if os.access(path, os.W_OK) else str(path)


def _stranger_at(address: str) -> Answer | None:
    """What, other than a server of gRPC, listens at `host:port`; `OSError` if nobody does."""
    with _connect(address) as connection:
        if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
            return None
        try:
            heard = _heard(connection, _PREFACE)
        except TimeoutError:
            return Answer("stranger", f"what listens there does not answer within {_KNOCK_SECONDS:g} s")
    if len(heard) == _FRAME and heard[_KIND] == _SETTINGS:
        return None
    # A web server that hangs up on a request which it has not read to its end takes its answer back with it.
    with _connect(address) as connection:
        if heard.startswith((b"HTTP/", b"<")) or _heard(connection, b"HEAD / HTTP/1.0\r\n\r\n").startswith(b"HTTP/"):
            return Answer("web", "a web server listens there, as at a dashboard's port")
    return Answer("stranger", "what listens there is no Ray cluster")


def _heard(connection: socket.socket, said: bytes) -> bytes:
    """The first bytes, at most a frame's head, of what is answered; few or none when the other side hangs up."""
    heard = b""
    try:
        connection.sendall(said)
        while len(heard) < _FRAME and (more := connection.recv(_FRAME - len(heard))):
            heard += more
    except ConnectionError:
        pass
    return heard


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{address} is no HOST:PORT")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS)


def _one_line(error: Exception) -> str:
    said = getattr(error, "strerror", None) or str(error)
    return " ".join(str(said).split()).rstrip(".")
