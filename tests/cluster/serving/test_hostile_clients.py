"""Clients that mean harm, or are only slow: refused, and the others are served."""

import http.client
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from served_models import encoded, good, running, served
from small_models import plate, small_judge

from raylab2f.cluster.serving import server as server_module
from raylab2f.cluster.serving.rules import ServingRules

TOKEN = "t0ken-of-the-tests"


@pytest.fixture(scope="module")
def judge():
    return small_judge()


def ask(port, body=None, headers=None, path="/v1/judge", method="POST", timeout=60):
    """(status, answer) of one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, {"Content-Type": "image/png", **(headers or {})})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def raw(port, head, chunks=(), pause=0.0, timeout=60):
    """What is answered to bytes as they are, up to the end of the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(head)
        for chunk in chunks:
            try:
                connection.sendall(chunk)
            except (BrokenPipeError, ConnectionResetError):
                break
            time.sleep(pause)
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
        return answer


def memory():
    """Bytes that this process has resident, and their peak since it was last asked to forget it."""
    text = Path("/proc/self/status").read_text()
    return [1024 * int(re.search(rf"{name}:\s+(\d+)", text)[1]) for name in ("VmRSS", "VmHWM")]


def test_a_bomb_is_not_decoded(judge, tmp_path):
    Image.new("1", (20_000, 10_000)).save(tmp_path / "bomb.png")
    bomb = (tmp_path / "bomb.png").read_bytes()
    assert len(bomb) < 100_000
    with running(ServingRules(), served(ServingRules(), judge)) as (port, _):
        Path("/proc/self/clear_refs").write_text("5")
        before = memory()[0]
        status, answer = ask(port, bomb)
        assert status == 413
        assert "200000000 pixels" in answer["error"]
        assert memory()[1] - before < 20 << 20
        assert ask(port, good())[0] == 200


@pytest.mark.parametrize("head", ["Content-Length: 1073741824", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_gigabyte_is_not_taken_in(judge, head, token):
    block = bytes(1 << 20)
    chunked = "chunked" in head
    piece = b"%x\r\n%b\r\n" % (len(block), block) if chunked else block
    with running(ServingRules(), served(ServingRules(), judge), token=token) as (port, _):
        Path("/proc/self/clear_refs").write_text("5")
        before = memory()[0]
        lines = f"POST /v1/judge HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n{head}\r\n\r\n"
        begun = time.monotonic()
        answer = raw(port, lines.encode(), (piece for _ in range(1024)))
        assert time.monotonic() - begun < 20
        # The connection may end before a client that goes on sending reads the answer.
        assert answer == b"" or answer.startswith(b"HTTP/1.1 413" if token is None else b"HTTP/1.1 401")
        # What is allowed, once as it comes and once joined.
        assert memory()[1] - before < 100 << 20
        assert ask(port, good(), {"Authorization": f"Bearer {token}"})[0] == 200


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(judge):
    with running(ServingRules(), served(ServingRules(), judge)) as (port, _):
        head = (
            b"POST /v1/judge HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 99999999\r\n\r\n"
        )
        answer = raw(port, head)
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"--max-bytes" in answer


def test_slow_clients_are_ended_and_block_nobody(judge):
    rules = ServingRules(timeout=1.5)
    body = good()
    head = (
        f"POST /v1/judge HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with running(rules, served(rules, judge)) as (port, _), ThreadPoolExecutor(40) as threads:
        ask(port, body)
        trickling = [
            threads.submit(raw, port, head.encode(), (body[n : n + 1] for n in range(100)), 0.1) for _ in range(40)
        ]
        time.sleep(0.3)
        seconds = []
        for _ in range(5):
            begun = time.monotonic()
            assert ask(port, body)[0] == 200
            seconds.append(time.monotonic() - begun)
        assert min(seconds) < 1.0
        for one in trickling:
            answer = one.result()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 408")


def test_headers_that_never_end_are_given_up(judge, monkeypatch):
    monkeypatch.setattr(server_module, "_HEADER_SECONDS", 1.0)
    monkeypatch.setattr(server_module, "_IDLE_SECONDS", 1)
    with running(ServingRules(), served(ServingRules(), judge)) as (port, _):
        trickle = (b"a: b\r\n" for _ in range(80))
        begun = time.monotonic()
        assert raw(port, b"POST /v1/judge HTTP/1.1\r\n", trickle, 0.1) == b""
        # Also behind a request that was in order.
        whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\n"
        assert raw(port, whole, (b"a: b\r\n" for _ in range(80)), 0.1).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - begun < 8
        assert ask(port, good())[0] == 200


@pytest.mark.parametrize(
    "line",
    [b"X: " + b"x" * 1_000_000, b"\r\n".join(b"X-%d: y" % n for n in range(20_000)), b"X y z", b"Content-Length: -1"],
    # Not named by what they hold: the name of a test is an environment variable of its processes.
    ids=["long", "many", "no-colon", "negative"],
)
def test_hostile_headers_are_refused(judge, line):
    with running(ServingRules(), served(ServingRules(), judge)) as (port, _):
        answer = raw(port, b"POST /v1/judge HTTP/1.1\r\nHost: localhost\r\n", [line, b"\r\n\r\n"])
        assert answer == b"" or re.match(rb"HTTP/1.1 (400|413|415|431)", answer)
        assert ask(port, good())[0] == 200


def test_a_form_made_to_be_slow_blocks_nobody(judge):
    rules = ServingRules()
    body = (
        b"--b\r\nContent-Disposition: form-data; name=p; filename=p\r\n\r\n" + b"\r\n-" * (8 << 20) + b"\r\n--b--\r\n"
    )
    with running(rules, served(rules, judge)) as (port, _), ThreadPoolExecutor(1) as threads:
        ask(port, good())
        form = threads.submit(ask, port, body, {"Content-Type": "multipart/form-data; boundary=b"})
        slowest = 0.0
        while not form.done():
            begun = time.monotonic()
            assert ask(port, path="/healthz", method="GET")[0] == 200
            slowest = max(slowest, time.monotonic() - begun)
        assert form.result()[0] == 415
        assert slowest < 2.0


def test_a_flood_is_answered(judge):
    rules = ServingRules(max_bytes=200_000)
    bodies = [good(1), b"text", bytes(300_000), encoded(plate(2), "JPEG")[:-900], b""]
    expected = {0: 200, 1: 415, 2: 413, 3: 422, 4: 400}
    wrong = []

    def client(seed, port):
        for number in range(10):
            kind = (seed + number) % len(bodies)
            status, answer = ask(port, bodies[kind])
            if status != expected[kind]:
                wrong.append((kind, status, answer))

    with running(rules, served(rules, judge)) as (port, _):
        threads = [threading.Thread(target=client, args=(seed, port)) for seed in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert ask(port, good())[0] == 200


def test_bodies_together_are_limited(judge):
    rules = ServingRules(max_bytes=100_000)
    assert rules.held_bytes == 1_600_000
    head = b"POST /v1/judge HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 100000\r\n\r\n"
    with running(rules, served(rules, judge)) as (port, _):
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(17)]
        for connection in held:
            connection.sendall(head + bytes(99_000))
        time.sleep(1.0)
        status, answer = ask(port, bytes(90_000))
        assert status == 503
        assert answer["error"].endswith("try again.")
        for connection in held:
            connection.close()
        time.sleep(0.5)
        assert ask(port, good())[0] == 200
