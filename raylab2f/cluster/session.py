"""Connection to a Ray cluster, or a private one on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import ray

from raylab2f.cluster.joining import joined_cluster
from raylab2f.cluster.private import private_cluster
from raylab2f.errors import UserError
from raylab2f.files.home import ensure_home
from raylab2f.reporting.stopping import hear_signals_again

__all__ = ["cluster_slots", "ray_session", "slots_limited"]

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


# Beyond which this process's stages do not go: CPUs and GPUs.
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
            dashboard is installed, or the running cluster was to start one; the token's file is open to others; or
            Ray's processes do not start in time.
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
    with joined_cluster(address) if address else private_cluster(cpus, dashboard):
        _set_up_libraries()
        # Ray takes SIGTERM for itself.
        hear_signals_again()
        yield


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


def _set_up_libraries() -> None:
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    # Else what went wrong in a process of ours arrives as text within an exception of Ray's.
    context.raise_original_map_exception = True
    for name in ("ray.data", "ray.tune", "ray.train"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
