"""Connection to a Ray cluster, or a private one on this machine."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import socket
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import ray
from ray._private import ray_constants
from ray.exceptions import AuthenticationError

from raylab2f.cluster.token import TOKEN_HINT, ensure_token, use_token
from raylab2f.errors import UserError, first_line
from raylab2f.files.home import ensure_home

__all__ = ["cluster_slots", "knock", "ray_session", "slots_limited"]

# What a private cluster may take of this machine's memory for objects; pictures and features pass through files.
_OBJECT_STORE_BYTES = 1 << 30

# Ray's own reports would bury the progress display; these must be set before its processes start.
_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_DEDUP_LOGS": "1",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "60",
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
}

# So many seconds Ray tries to reach its first process. A private cluster's may need more than Ray's half a minute on
# a busy machine; one that runs already answers at once or not at all.
_PATIENCE = "RAY_gcs_server_port_wait_time_s"
_START_SECONDS, _JOIN_SECONDS = "120", "5"
_KNOCK_SECONDS = 10.0

# Under `uv run`, Ray would pack the working folder, however large, and unpack it for workers on the same machine.
_PACK_UNDER_UV = "RAY_ENABLE_UV_RUN_RUNTIME_ENV"
_REASON_LENGTH = 400


_limit: ContextVar[tuple[int | None, int | None]] = ContextVar("slots", default=(None, None))


@contextmanager
def ray_session(
    address: str | None = None, *, cpus: int | None = None, dashboard: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Be connected to Ray inside the block; a private cluster ends with it. Both ask for a token, see `token`.

    Arguments:
        address: of a running cluster (`auto`, `host:port`, `ray://...`); `None`: that of the environment variable
            RAY_ADDRESS, else a private cluster on this machine.
        cpus: processor slots of a private cluster; `None`: all of them.
        dashboard: if given, a private cluster has a dashboard, on this machine's loopback address only, and its URL is
            passed to this.

    Raises:
        UserError: no cluster answers at the address, or none that accepts the token or has these versions; no
            dashboard is installed, or the running cluster was to start one; or Ray's processes do not start in time.
    """
    if ray.is_initialized():
        yield
        return
    ensure_home()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    address = address or os.environ.get("RAY_ADDRESS")
    if address and dashboard:
        raise UserError("--dashboard: a cluster that runs already has its own, or none; leave the option out.")
    os.environ.setdefault(_PATIENCE, _JOIN_SECONDS if address else _START_SECONDS)
    temporary = None if address else _temporary_folder()
    try:
        if address:
            _join(address)
        else:
            _start(cpus, dashboard, str(temporary))
        _set_up_libraries()
        yield
    finally:
        ray.shutdown()
        # Ray leaves its logs and sockets where they are, some megabytes a run.
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def cluster_slots() -> tuple[int, int]:
    """CPUs and GPUs that this process's work may take at a time: of the whole cluster, within `slots_limited` fewer."""
    resources = ray.cluster_resources()
    cpus, gpus = max(1, int(resources.get("CPU", 1))), int(resources.get("GPU", 0))
    most_cpus, most_gpus = _limit.get()
    return min(cpus, most_cpus or cpus), min(gpus, most_gpus or gpus)


@contextmanager
def slots_limited(cpus: int | None, gpus: int | None) -> Iterator[None]:
    """Inside the block the stages before and after training take no more than so many either; `None`: no limit."""
    before = _limit.set((cpus, gpus))
    try:
        yield
    finally:
        _limit.reset(before)


def _join(address: str) -> None:
    known = use_token()
    try:
        knock(address)
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ValueError, RuntimeError) as error:
        # No address at all, or another version of Ray or Python, which Ray says over several lines.
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(
            f"--address {address}: {reason}; give the head node's HOST:PORT (6379 unless `ray start` was told another)."
        ) from error
    except (OSError, AuthenticationError) as error:
        reason = "no Ray cluster answers there, or it refuses the token" if known else "no Ray cluster answers there"
        raise UserError(
            f"--address {address}: {reason}; check `ray status`, and if the cluster asks for a token, {TOKEN_HINT}."
        ) from error


def knock(address: str) -> None:
    """`OSError` if nobody listens at `host:port`; Ray would find that out after minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()


def _temporary_folder() -> Path:
    """For Ray's sockets and logs; its path is short, for a socket's must be."""
    return Path(tempfile.mkdtemp(prefix="raylab2f-", dir="/tmp" if Path("/tmp").is_dir() else None))


def _start(cpus: int | None, dashboard: Callable[[str], None] | None, temporary: str) -> None:
    if dashboard and importlib.util.find_spec("aiohttp_cors") is None:
        raise UserError("--dashboard: the dashboard is not installed; install raylab2f[cluster].")
    ensure_token()
    if os.environ.setdefault(_PACK_UNDER_UV, "0") == "0":
        # Ray reads the variable once, when it is imported.
        ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV = False
    try:
        context = ray.init(
            address="local",
            num_cpus=cpus,
            object_store_memory=_OBJECT_STORE_BYTES,
            include_dashboard=dashboard is not None,
            dashboard_host="127.0.0.1",
            _temp_dir=temporary,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    except Exception as error:  # Ray raises plain `Exception`s and RuntimeErrors alike when its processes are late
        raise UserError(
            f"Ray did not start on this machine: {_reason(error)}; if that does not say what to mend, the machine may "
            "be too busy or short of memory: try again later, or give the --address of a cluster that runs."
        ) from error
    if dashboard:
        dashboard(f"http://{context.dashboard_url}")


def _reason(error: Exception) -> str:
    """All that Ray says, for the first line may only say that something went wrong."""
    said = str(error).strip() or first_line(error)
    return textwrap.shorten(said, _REASON_LENGTH, placeholder=" ...").rstrip(".")


def _set_up_libraries() -> None:
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    # Else what went wrong in a process of ours arrives as text within an exception of Ray's.
    context.raise_original_map_exception = True
    for name in ("ray.data", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
