"""Clusters that cannot be had."""

import os
import subprocess
import sys
from pathlib import Path

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
    impatient = {"RAY_gcs_rpc_server_connect_timeout_s": "1", "RAY_gcs_server_port_wait_time_s": "2"}
    process = subprocess.run(
        command, env={**os.environ, **impatient}, capture_output=True, text=True, timeout=400, check=False
    )
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
