"""`raylab2f serve` as a program, with Ray Serve behind it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from in_process import raylab2f
from ray_head import Head
from served_models import good, spotted
from small_models import small_judge, write_small_model

PROGRAM = Path(sys.executable).parent / "raylab2f"
PATIENCE = 120


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of two models that decide differently."""
    folder = tmp_path_factory.mktemp("served")
    for name in ("one", "two"):
        write_small_model(folder / name, small_judge(level="object" if name == "one" else "image"))
    return folder


@contextmanager
def program(*arguments, **environment):
    """A server that has said where it listens: its process, its port, the lines that follow."""
    said = []
    command = [str(PROGRAM), "serve", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment}
    ) as process:
        try:
            for line in process.stdout:
                said.append(line)
                if line.startswith("serving "):
                    break
            else:
                raise AssertionError("".join(said))
            threading.Thread(target=lambda: said.extend(process.stdout), daemon=True).start()
            yield process, int(line.rpartition(":")[2]), said
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def ask(port, body=None, method="POST", path="/v1/judge", timeout=PATIENCE):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    connection.request(method, path, body, {"Content-Type": "image/png"})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, json.loads(content) if content.startswith(b"{") else content.decode()


def replicas(server):
    """Processes of models below a server."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        # Processes end while they are looked at.
        with suppress(OSError):
            title = (path / "cmdline").read_bytes()
            if title.startswith(b"ray::ServeReplica") and _has_ancestor(int(path.name), server):
                found.append(int(path.name))
    return found


def _has_ancestor(pid, ancestor):
    while pid > 1:
        if pid == ancestor:
            return True
        pid = int(re.search(r"PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
    return False


def listening_beyond_loopback(server):
    """Inodes' addresses at which a server, or a process below it, listens for others."""
    inodes = set()
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            link = os.readlink(path)  # noqa: PTH115  # no file
            if link.startswith("socket:") and _has_ancestor(int(path.parts[2]), server):
                inodes.add(link[8:-1])
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    local = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
    return [row[1] for row in rows if row[3] == "0A" and row[9] in inodes and row[1].split(":")[0] not in local]


class Load:
    """Clients that ask again and again."""

    def __init__(self, port, clients=4):
        self.statuses, self.digests, self._done = [], [], threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(port,)) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self, port):
        while not self._done.is_set():
            try:
                status, answer = ask(port, good())
                self.digests.append(answer.get("model", {}).get("digest"))
            except OSError as error:
                status = repr(error)
            self.statuses.append(status)

    def end(self):
        self._done.set()
        for thread in self._threads:
            thread.join()


def until(holds, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_model_is_exchanged_a_replica_dies_and_a_signal_ends_it_all(models, tmp_path):
    place = tmp_path / "current"
    place.symlink_to(models / "one")
    with program(place) as (process, port, said):
        assert ask(port, spotted())[1]["verdict"] == "reject"
        assert listening_beyond_loopback(process.pid) == []
        (before,) = replicas(process.pid)
        load = Load(port)
        # What is no model changes nothing.
        (tmp_path / "next").symlink_to(tmp_path)
        (tmp_path / "next").replace(place)
        time.sleep(3)
        (tmp_path / "next").symlink_to(models / "two")
        (tmp_path / "next").replace(place)
        until(lambda: any("was replaced" in line for line in said))
        until(lambda: replicas(process.pid) and before not in replicas(process.pid))
        first = ask(port, good())[1]["model"]["digest"]
        os.kill(*replicas(process.pid), signal.SIGKILL)
        time.sleep(1)
        until(lambda: ask(port, good())[0] == 200)
        load.end()
        assert set(load.statuses) == {200}
        assert len(set(load.digests)) == 2
        assert load.digests[-1] == first
        # In flight when the signal comes, and answered.
        answers = []
        last = threading.Thread(target=lambda: answers.append(ask(port, spotted())))
        last.start()
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        last.join()
        assert answers[0][0] == 200
        assert process.wait(PATIENCE) == 143
        until(lambda: replicas(process.pid) == [], 10)
    assert "stopped by SIGTERM" in said[-1]


@pytest.mark.slow
def test_several_models_and_ctrl_c(models):
    with program(models / "one", f"other={models / 'two'}", "--replicas", "2") as (process, port, _):
        assert len(replicas(process.pid)) == 4
        listed = ask(port, method="GET", path="/v1/models")[1]["models"]
        assert [one["name"] for one in listed] == ["one", "other"]
        assert ask(port, good(), path="/v1/judge?model=other")[1]["model"]["name"] == "other"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130


@pytest.mark.slow
def test_on_a_cluster_that_others_share(models, tmp_path):
    place = tmp_path / "current"
    place.symlink_to(models / "one")
    (tmp_path / "head").mkdir()
    with Head(tmp_path / "head", cpus=3) as head:
        with program(place, "--address", head.address, **head.environment) as (process, port, said):
            assert ask(port, spotted())[1]["verdict"] == "reject"
            (tmp_path / "next").symlink_to(models / "two")
            (tmp_path / "next").replace(place)
            until(lambda: any("was replaced" in line for line in said))
            assert ask(port, good())[0] == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 143
        # Nothing of it is left on the cluster, whose other deployments go on.
        until(lambda: not replicas(head.process.pid), 60)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "Missing argument 'models'"),
        (["MODEL/none"], "holds no model"),
        (["MODEL/one", "MODEL/one"], "one is given twice; give another name"),
        (["MODEL/one", "--host", "0.0.0.0"], "there is no token; give --token-file or RAYLAB2F_SERVE_TOKEN"),
        (["MODEL/one", "--token-file", "MODEL/none"], "there is no such file"),
        (["MODEL/one", "--host", "203.0.113.9", "--token-file", "MODEL/token"], "give another --port or --host"),
        (["MODEL/one", "--token-file", "MODEL/short"], "a token is 16 or more letters"),
        (["MODEL/one", "--max-bytes", "much"], "--max-bytes: 'much' is no size"),
        (["MODEL/one", "--batch-wait", "-1ms"], "--batch-wait: '-1ms' is no time"),
        (["MODEL/one", "--batch-wait", "60s"], "longer than --timeout"),
        (["a name=MODEL/one"], "holds no model"),
    ],
)
def test_what_cannot_be_served_is_said_before_ray_starts(models, words, sentence, monkeypatch):
    monkeypatch.setattr("raylab2f.cluster.session.private_cluster", lambda *a: pytest.fail("Ray was started"))
    monkeypatch.delenv("RAYLAB2F_SERVE_TOKEN", raising=False)
    for name, token in (("token", "x" * 32), ("short", "short")):
        (models / name).write_text(token)
        (models / name).chmod(0o600)
    ended = raylab2f("serve", *(word.replace("MODEL/", f"{models}/") for word in words))
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_said(models):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = raylab2f("serve", models / "one", "--port", taken.getsockname()[1])
    assert ended.returncode == 2
    assert "give another --port" in ended.stderr


def test_a_token_comes_from_the_environment_and_is_asked_for(models, monkeypatch):
    from raylab2f.workflows.serving import token_for

    monkeypatch.setenv("RAYLAB2F_SERVE_TOKEN", "y" * 20)
    assert token_for("127.0.0.1", None) == token_for("0.0.0.0", None) == "y" * 20
    (models / "token").write_text("x" * 32 + "\n")
    assert token_for("127.0.0.1", str(models / "token")) == "x" * 32
    monkeypatch.delenv("RAYLAB2F_SERVE_TOKEN")
    assert token_for("localhost", None) is token_for("::1", None) is token_for("127.0.0.9", None) is None


def test_without_its_packages_it_says_what_to_install(models, monkeypatch):
    monkeypatch.setattr("raylab2f.workflows.serving._NEEDED", ("no_such_package",))
    ended = raylab2f("serve", models / "one")
    assert ended.returncode == 2
    assert "pip install raylab2f[serve]" in ended.stderr
