"""What is at an address is found out within seconds, whatever listens there."""

import http.server
import socket
import subprocess
import threading
from contextlib import contextmanager

import pytest
from in_process import raylab2f
from ray_head import BIN, free_ports

from raylab2f.cluster.asking import ask


class WebServer(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextmanager
def web_server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), WebServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def speaking(words):
    """A listener that says this to everybody, and closes the connection unless it is `None`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections = []

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connections.append(connection)
                if words is not None:
                    connection.sendall(words)
                    connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for connection in connections:
            connection.close()


@contextmanager
def nobody():
    yield f"127.0.0.1:{free_ports(1)[0]}"


@pytest.mark.parametrize(
    ("there", "kind", "said"),
    [
        (web_server, "web", "web server"),
        (lambda: speaking(b"SSH-2.0-OpenSSH_9.2\r\n"), "stranger", "no Ray cluster"),
        (lambda: speaking(b""), "stranger", "no Ray cluster"),
        (lambda: speaking(None), "stranger", "does not answer within 10 s"),
        (nobody, "silence", "refused"),
    ],
    ids=["web", "ssh", "closed", "mute", "nobody"],
)
def test_what_is_no_cluster_is_told_apart(there, kind, said):
    with there() as address:
        answer = ask(address)
    assert answer.kind == kind
    assert said in answer.said


def test_what_is_no_address_is_said():
    for address in ("nonsense", "host:", "host:port", "host:99999"):
        assert ask(address).kind == "malformed", address
    assert ask("no-such-host.invalid:6379").kind == "silence"


def test_a_command_says_it_in_one_sentence(tmp_path):
    with web_server() as address:
        for command in (["jobs", "list"], ["cluster", "doctor", "--cache", tmp_path]):
            # A process of its own, for this one may be in a cluster already.
            process = subprocess.run(
                [BIN / "raylab2f", *command, "--address", address], capture_output=True, text=True, check=False
            )
            assert process.returncode == 2
            [said] = process.stderr.splitlines()
            assert said.startswith(f"error: --address {address}: a web server listens there")


def test_a_dashboard_that_never_answers_is_not_waited_for():
    with speaking(None) as address:
        process = raylab2f("jobs", "list", "--address", f"http://{address}")
    assert process.returncode == 2
    [said] = process.stderr.splitlines()
    assert "no Ray dashboard answers there" in said
