"""A private cluster on this machine: its folder is its user's alone, and nothing of it listens beyond loopback."""

from __future__ import annotations

import importlib.util
import logging
import os
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from ray._private import ray_constants

from raylab2f.cluster.leftovers import own_folder
from raylab2f.cluster.surroundings import environment_with
from raylab2f.cluster.token import ensure_token, forget_token, make_token
from raylab2f.errors import UserError, first_line

__all__ = ["LOOPBACK", "private_cluster"]

#: All of a private cluster's processes listen here and nowhere else.
LOOPBACK = "127.0.0.1"

# What a private cluster may take of this machine's memory for objects; pictures and features pass through files.
_OBJECT_STORE_BYTES = 1 << 30

# A busy machine may need more than Ray's half a minute to start its first process.
_PATIENCE = {"RAY_gcs_server_port_wait_time_s": "120"}

# Two servers of Ray's that ask for no token, at ports that are the same for every cluster of a machine, and that have
# nothing to tell of a private one. There is no switch, but a port that cannot be: Ray logs it, and goes on without.
_NO_SERVER = {"AUTOSCALER_METRIC_PORT": "-1", "DASHBOARD_METRIC_PORT": "-1"}

# Nobody outside is told that a cluster was started, unless its user wants it so.
_NO_USAGE_STATS = "RAY_USAGE_STATS_ENABLED"

# Under `uv run`, Ray would pack the working folder, however large, and unpack it for workers on the same machine.
_PACK_UNDER_UV = "RAY_ENABLE_UV_RUN_RUNTIME_ENV"
_REASON_LENGTH = 400
_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@contextmanager
def private_cluster(cpus: int | None, dashboard: Callable[[str], None] | None) -> Iterator[None]:
    """Be connected to a cluster that starts with the block and ends with it, and asks for a token.

    With a dashboard the token is the user's, who is asked for it there, and metrics are offered to Prometheus, which
    needs none. Without, there are no metrics, and the token is the cluster's own: others on this machine may have a
    copy of the user's, if it is that of a cluster which they share.

    Arguments:
        cpus: processor slots; `None`: all of this machine.
        dashboard: if given, there is a dashboard, and its URL is passed to this.

    Raises:
        UserError: no dashboard is installed, its token cannot be kept from others, or Ray's processes do not start in
            time.
    """
    if dashboard and importlib.util.find_spec("aiohttp_cors") is None:
        raise UserError("--dashboard: the dashboard is not installed; install raylab2f[cluster].")
    if dashboard:
        ensure_token()
    with own_folder() as folder:
        try:
            with _own_environment(None if dashboard else folder / "token"):
                url = _start(cpus, dashboard is not None, folder)
            if dashboard:
                dashboard(f"http://{url}")
            yield
        finally:
            ray.shutdown()
            forget_token()


@contextmanager
def _own_environment(token: Path | None) -> Iterator[None]:
    """What Ray and the processes that it starts read when they begin, and no later.

    Arguments:
        token: a file for a token of this cluster's own; `None`: the user's token.
    """
    with environment_with({_PACK_UNDER_UV: "0", **_PATIENCE, **_NO_SERVER, _NO_USAGE_STATS: "0"}):
        kept = {name: os.environ[name] for name in _TOKENS if name in os.environ}
        # Ray reads these two once, when it is imported. The second is off where Ray knows no clusters of several
        # machines, such as macOS; then it takes a loopback address as a node's, and looks for none that others reach.
        constants = {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": os.environ[_PACK_UNDER_UV] != "0", "ENABLE_RAY_CLUSTER": False}
        before = {name: getattr(ray_constants, name) for name in constants}
        try:
            if token:
                make_token(token)
                os.environ.pop("RAY_AUTH_TOKEN", None)
                os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
                forget_token()
            for name, value in constants.items():
                setattr(ray_constants, name, value)
            yield
        finally:
            for name, value in before.items():
                setattr(ray_constants, name, value)
            for name in _TOKENS:
                os.environ.pop(name, None)
            os.environ.update(kept)


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
