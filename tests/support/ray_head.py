"""A Ray head node of the tests' own: its own ports, token, home and temporary folder; ended without touching others."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

MARK = "RAYLAB2F_TEST_HEAD"
FAST_METRICS = {"RAY_metrics_report_interval_ms": "500"}
DAEMONS = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # The head notices a dead node in two seconds instead of half a minute, and lets a busy one take its time.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "5000",
    "RAY_health_check_failure_threshold": "4",
}
BIN = Path(sys.executable).parent


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Head:
    """`ray start --head` in `folder`, as an administrator would; `environment` is that of a user with the token.

    Used with `with`, it is stopped at the end. The folder is its own, and goes with it.
    """

    def __init__(self, folder: Path, *, cpus: int = 2, gpus: int = 0, autoscaling: dict | None = None):
        self.folder = folder
        self.nodes: dict[str, subprocess.Popen] = {}
        self.mark = uuid.uuid4().hex
        self.token = secrets.token_hex(32)
        home = folder / "home"
        (home / ".ray").mkdir(parents=True)
        token_file = home / ".ray" / "auth_token"
        token_file.write_text(self.token, encoding="utf-8")
        token_file.chmod(0o600)
        kept = {name: os.environ[name] for name in ("PYTHONPATH", "LANG", "OMP_NUM_THREADS") if name in os.environ}
        self.stranger = {**kept, "PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(folder)}
        self.environment = {**self.stranger, "HOME": str(home), **FAST_METRICS}
        # Sockets' paths have little room: Ray's folder must have a short name.
        self.temporary = Path("/tmp") / f"raylab2f-{self.mark[:8]}"
        self.port, dashboard, client, agent, self.metrics_port = free_ports(5)
        self.address = f"127.0.0.1:{self.port}"
        self.dashboard = f"http://127.0.0.1:{dashboard}"
        options = {
            "port": self.port,
            "dashboard-host": "127.0.0.1",
            "dashboard-port": dashboard,
            "ray-client-server-port": client,
            "dashboard-agent-listen-port": agent,
            "metrics-export-port": self.metrics_port,
            "min-worker-port": 0,
            "max-worker-port": 0,
            "node-ip-address": "127.0.0.1",
            "num-cpus": cpus,
            "num-gpus": gpus,
            "temp-dir": self.temporary,
            "object-store-memory": 200_000_000,
            "include-dashboard": "true",
        }
        grows = {}
        if autoscaling:
            autoscaling["provider"]["gcs_address"] = self.address
            (folder / "autoscaling.json").write_text(json.dumps(autoscaling), encoding="utf-8")
            options["autoscaling-config"] = folder / "autoscaling.json"
            grows = {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1"}
        self.log = (folder / "head.log").open("w", encoding="utf-8")
        self.process = subprocess.Popen(
            [BIN / "ray", "start", "--head", "--block", *(f"--{name}={value}" for name, value in options.items())],
            env={**self.environment, **DAEMONS, MARK: self.mark, **grows},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    def get(self, path, token=None):
        """Status and text of the dashboard's answer to a GET with this token."""
        request = urllib.request.Request(self.dashboard + path)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def add_node(self, *, cpus=1, gpus=0, environment=None):
        """Join another node, on this machine too; returns the mark of its processes."""
        mark = f"{self.mark}-{len(self.nodes)}-"
        options = {
            "address": self.address,
            "node-ip-address": "127.0.0.1",
            "min-worker-port": 0,
            "max-worker-port": 0,
            "dashboard-agent-listen-port": 0,
            "num-cpus": cpus,
            "num-gpus": gpus,
            "object-store-memory": 100_000_000,
        }
        command = [BIN / "ray", "start", "--block", *(f"--{name}={value}" for name, value in options.items())]
        environment = {**self.environment, **DAEMONS, **(environment or {}), MARK: mark}
        before = self.alive_nodes()
        for _ in range(3):
            process = subprocess.Popen(
                command, env=environment, stdout=self.log, stderr=self.log, start_new_session=True
            )
            self.nodes[mark] = process
            # Ray gives a node half a minute to start; a busy machine may need another try.
            while process.poll() is None:
                if self.alive_nodes() > before:
                    return mark
                time.sleep(0.2)
            self.kill_node(mark)
        raise TimeoutError((self.folder / "head.log").read_text(encoding="utf-8"))

    def kill_node(self, mark):
        """As if its plug were pulled."""
        for pid in marked_processes(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @contextlib.contextmanager
    def joined(self, *nodes):
        """Other nodes for a while, each with these arguments of `add_node`; yields their marks."""
        marks = [self.add_node(**options) for options in nodes]
        try:
            yield marks
        finally:
            for mark in marks:
                self.kill_node(mark)
            deadline = time.monotonic() + 60
            while self.alive_nodes() > 1:
                assert time.monotonic() < deadline, "a killed node still counts as alive"
                time.sleep(0.2)

    def alive_nodes(self):
        """How many the head knows."""
        status, answer = self.get("/api/v0/nodes?detail=1", self.token)
        nodes = json.loads(answer)["data"]["result"]["result"] if status == 200 else []
        return sum(node["state"] == "ALIVE" for node in nodes)

    def processes(self):
        """Of this head, of its nodes, and of all that they started."""
        return marked_processes(self.mark)

    def stop(self):
        """Kill every process that carries the mark, and no other; delete its folder and Ray's."""
        deadline = time.monotonic() + 20
        while (left := self.processes()) and time.monotonic() < deadline:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        for process in (self.process, *self.nodes.values()):
            process.wait(timeout=10)
        self.log.close()
        for folder in (self.temporary, self.folder):
            shutil.rmtree(folder, ignore_errors=True)

    def _wait(self):
        deadline = time.monotonic() + 400
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "head.log").read_text(encoding="utf-8")
            try:
                if self.get("/api/jobs/", self.token)[0] == 200 and self.alive_nodes() == 1:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise TimeoutError((self.folder / "head.log").read_text(encoding="utf-8"))


def title(pid):
    """A process's command line, or what it calls itself; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ")
    except OSError:
        return ""


def trains_a_fold(pid):
    """Whether the process is that of a trial, and at work; it trains one fold after another."""
    return "ray::Fold.train" in title(pid)


def marked_processes(mark):
    """Ids of the living processes whose environment descends from one whose mark begins like this."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
                if alive and f"\0{MARK}={mark}".encode() in b"\0" + (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
