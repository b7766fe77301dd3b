"""A private cluster is its user's alone: no other account enters its folder, no other machine reaches it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import ray
from listeners import beyond_loopback, descendants, outward_address, ports

# What another account tries; it says what it was allowed.
STRANGER = """
import os, socket, sys

os.setgroups([])
os.setgid(65534)
os.setuid(65534)

def tried(what, act):
    try:
        act()
        print(what)
    except PermissionError:
        pass

ray, session = sys.argv[1:]
for folder in (os.path.dirname(ray), ray, session):
    tried("list " + folder, lambda: os.listdir(folder))
    tried("make a file in " + folder, lambda: open(folder + "/made", "w"))
for name in ("raylet", "plasma_store"):
    path = session + "/sockets/" + name
    tried("connect to " + name, lambda: socket.socket(socket.AF_UNIX).connect(path))
    tried("rename " + name, lambda: os.rename(path, path + "2"))
print("tried all")
"""


def test_nothing_listens_beyond_loopback(shared_ray):
    assert ray.get(ray.remote(lambda: os.getpid()).remote()) in descendants(os.getpid())
    ours = descendants(os.getpid())
    assert len(ports(ours)) >= 5
    assert beyond_loopback(ours) == set()
    if address := outward_address():
        for port in ports(ours):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((address, port), timeout=10)


def test_a_port_that_all_may_reach_would_be_found():
    with socket.create_server(("", 0)) as server:
        [(_, port, _)] = beyond_loopback([os.getpid()])
        assert port == server.getsockname()[1]


@pytest.mark.skipif(os.getuid() != 0, reason="only root may act as another account")
def test_another_account_can_neither_look_into_its_folder_nor_touch_its_sockets(shared_ray):
    node = ray._private.worker._global_node
    folder = node.get_temp_dir_path()
    process = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STRANGER, folder, node.get_session_dir_path()],
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        check=True,
    )
    assert process.stdout == "tried all\n"
    # They were there to be touched.
    assert {"raylet", "plasma_store"} <= {path.name for path in Path(node.get_sockets_dir_path()).iterdir()}


KNOCK = """
import sys
from ray._raylet import GcsClient
from ray.exceptions import AuthenticationError

try:
    GcsClient(address=sys.argv[1])
    print("in")
except AuthenticationError:
    print("refused")
"""


def test_its_token_is_its_own(shared_ray):
    """The user's may be known to all who share another cluster."""
    node = ray._private.worker._global_node
    token = Path(node.get_temp_dir_path()).parent / "token"
    assert [path.stat().st_mode & 0o777 for path in (token, token.parent)] == [0o600, 0o700]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    for shown, answer in (({"RAY_AUTH_TOKEN_PATH": str(token)}, "in"), ({"RAY_AUTH_TOKEN": "0" * 64}, "refused")):
        process = subprocess.run(
            [sys.executable, "-c", KNOCK, node.gcs_address],
            env={**environment, "RAY_AUTH_MODE": "token", **shown},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert process.stdout.strip() == answer
