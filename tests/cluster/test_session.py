"""Clusters that cannot be had."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ray_head import Head

import raylab2f

CODE = """
from raylab2f.cluster.session import ray_session
from raylab2f.errors import UserError

try:
    with ray_session(cpus=1):
        print("started")
except UserError as error:
    print(error)
"""


def test_ray_that_does_not_start_in_time_is_a_sentence_for_the_user():
    """As on a machine so busy that Ray's first process needs longer than Ray waits."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["RAY_gcs_server_port_wait_time_s"] = "0"
    process = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, timeout=400, check=True
    )
    [said] = process.stdout.splitlines()
    assert said.startswith("Ray did not start on this machine: Timed out")


def test_a_cluster_that_was_named_is_asked_even_for_what_is_stored(tmp_path):
    """Else what the cache lacks would be made on this machine."""
    program = Path(sys.executable).with_name("raylab2f")
    command = [program, "diagnose", tmp_path, "--stored-only", "--address", "127.0.0.1:1", "--cache", tmp_path]
    process = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert process.returncode == 2
    assert "--address 127.0.0.1:1: no Ray cluster answers there" in process.stderr


def test_uv_run_in_a_large_folder_starts_without_packing_it(tmp_path):
    """As `uv run python start.py`: Ray looks for such a command line among the parents of its process."""
    (tmp_path / "start.py").write_text(CODE, encoding="utf-8")
    with (tmp_path / "pictures.tar").open("wb") as file:
        # More than Ray packs; the file system keeps no bytes of it.
        file.truncate(1 << 30)
    (tmp_path / "run").write_text(f"'{sys.executable}' start.py\ntrue\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["PYTHONPATH"] = str(Path(raylab2f.__file__).parents[1])
    command = ["bash", "-c", "exec -a uv bash run start.py"]
    process = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400, check=True
    )
    assert process.stdout.splitlines() == ["started"], process.stderr


JOINED = """
import sys, time
from raylab2f.cluster.session import ray_session

with ray_session(sys.argv[1]):
    print("joined", flush=True)
    time.sleep(300)
"""


@pytest.mark.slow
def test_a_head_that_is_lost_meanwhile_ends_the_command_with_a_sentence(tmp_path):
    with Head(tmp_path / "head") as head:
        environment = {**head.environment, "RAY_gcs_rpc_server_reconnect_timeout_s": "10"}
        process = subprocess.Popen(
            [sys.executable, "-c", JOINED, head.address],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "joined\n"
        for pid in head.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    [said] = errors.splitlines()
    assert said.startswith(f"error: --address {head.address}: the cluster's head has not answered for 5 s")
