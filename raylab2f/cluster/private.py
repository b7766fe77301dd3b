"""A private cluster on this machine: its folder is its user's alone, and nothing of it listens beyond loopback."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from ray._private import ray_constants

from raylab2f.cluster.token import ensure_token
from raylab2f.errors import UserError, first_line

__all__ = ["LOOPBACK", "private_cluster"]

#: All of a private cluster's processes listen here and nowhere else.
LOOPBACK = "127.0.0.1"

# What a private cluster may take of this machine's memory for objects; pictures and features pass through files.
_OBJECT_STORE_BYTES = 1 << 30

# A busy machine may need more than Ray's half a minute to start its first process.
_PATIENCE = "RAY_gcs_server_port_wait_time_s"
_START_SECONDS = "120"

# Two servers of Ray's that ask for no token, at ports that are the same for every cluster of a machine, and that have
# nothing to tell of a private one. There is no switch, but a port that cannot be: Ray logs it, and goes on without.
_NO_SERVER = {"AUTOSCALER_METRIC_PORT": "-1", "DASHBOARD_METRIC_PORT": "-1"}

# Under `uv run`, Ray would pack the working folder, however large, and unpack it for workers on the same machine.
_PACK_UNDER_UV = "RAY_ENABLE_UV_RUN_RUNTIME_ENV"
_REASON_LENGTH = 400


@contextmanager
def private_cluster(cpus: int | None, dashboard: Callable[[str], None] | None) -> Iterator[None]:
    """Be connected to a cluster that starts with the block and ends with it; it asks for a token, see `token`.

    Its metrics are offered to Prometheus only with a dashboard, for they are told without a token.

    Arguments:
        cpus: processor slots; `None`: all of this machine.
        dashboard: if given, there is a dashboard, and its URL is passed to this.

    Raises:
        UserError: no dashboard is installed, or Ray's processes do not start in time.
    """
    if dashboard and importlib.util.find_spec("aiohttp_cors") is None:
        raise UserError("--dashboard: the dashboard is not installed; install raylab2f[cluster].")
    ensure_token()
    folder = Path(tempfile.mkdtemp(prefix="raylab2f-", dir="/tmp" if Path("/tmp").is_dir() else None))
    try:
        with _own_environment():
            url = _start(cpus, dashboard is not None, folder)
        if dashboard:
            dashboard(f"http://{url}")
        yield
    finally:
        ray.shutdown()
        # Ray leaves its logs and sockets where they are, some megabytes a run.
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _own_environment() -> Iterator[None]:
    """What Ray and the processes that it starts read when they begin, and no later."""
    given = {_PATIENCE: _START_SECONDS, _PACK_UNDER_UV: "0", **_NO_SERVER}
    added = [name for name in given if name not in os.environ]
    os.environ.update({name: given[name] for name in added})
    # Ray reads these two once, when it is imported. The second is off where Ray knows no clusters of several machines,
    # such as macOS; it then takes a loopback address as a node's, instead of looking for one that others reach.
    constants = {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": os.environ[_PACK_UNDER_UV] != "0", "ENABLE_RAY_CLUSTER": False}
    before = {name: getattr(ray_constants, name) for name in constants}
    try:
        for name, value in constants.items():
            setattr(ray_constants, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(ray_constants, name, value)
        for name in added:
            del os.environ[name]


def _start(cpus: int | None, dashboard: bool, folder: Path) -> str:
    """Start Ray; returns the host and port of its dashboard, if there is one."""
    try:
        context = ray.init(
            address="local",
            num_cpus=cpus,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=dashboard,
            dashboard_host=LOOPBACK,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _node_ip_address=LOOPBACK,
            # Ray opens its folder to everybody. A folder above it that only we may enter keeps others out all the same;
            # names are short, for a socket's path must be.
            _temp_dir=str(folder / "ray"),
            _system_config={"enable_metrics_collection": dashboard},
        )
    except Exception as error:  # Ray raises plain `Exception`s and RuntimeErrors alike when its processes are late
        raise UserError(
            f"Ray did not start on this machine: {_reason(error)}; if that does not say what to mend, the machine may "
            "be too busy or short of memory: try again later, or give the --address of a cluster that runs."
        ) from error
    return context.dashboard_url or ""


def _reason(error: Exception) -> str:
    """All that Ray says, for the first line may only say that something went wrong."""
    said = str(error).strip() or first_line(error)
    return textwrap.shorten(said, _REASON_LENGTH, placeholder=" ...").rstrip(".")
