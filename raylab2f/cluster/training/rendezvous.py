"""Where the workers of a fold find each other: on a private cluster, at its loopback address only.

torch's own store of a process group listens at all addresses of the machine, and asks for no token; its transports take
the interface that the machine's name leads to.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ray
from ray.train.torch.config import (
    TorchConfig,
    _set_torch_distributed_env_vars,
    _setup_torch_process_group,
    _TorchBackend,
)

from raylab2f.cluster.private import LOOPBACK

__all__ = ["torch_config"]

_INTERFACE = "lo0" if sys.platform == "darwin" else "lo"
_TRANSPORTS = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
# The store lives as long as its process.
_kept: list[Any] = []


def torch_config() -> TorchConfig:
    """How the workers of a fold are connected, on the cluster of this process."""
    return _LoopbackConfig() if ray.util.get_node_ip_address() == LOOPBACK else TorchConfig()


@dataclass
class _LoopbackConfig(TorchConfig):
    @property
    def backend_cls(self) -> type[_TorchBackend]:
        return _LoopbackBackend


class _LoopbackBackend(_TorchBackend):
    def on_start(self, worker_group: Any, backend_config: Any) -> None:
        """As Ray's own, for GPUs and CPUs, but for where the store and the transports listen."""
        backend = "nccl" if worker_group.get_resources_per_worker().get("GPU", 0) else "gloo"
        workers = len(worker_group)
        port = worker_group.execute_single(0, _serve_store, workers, backend_config.timeout_s)
        worker_group.execute(_find_store, port)
        worker_group.execute(_set_torch_distributed_env_vars)
        ray.get(
            [
                worker_group.execute_single_async(
                    rank,
                    _setup_torch_process_group,
                    backend=backend,
                    world_rank=rank,
                    world_size=workers,
                    init_method="env://",
                    timeout_s=backend_config.timeout_s,
                )
                for rank in range(workers)
            ]
        )


def _serve_store(workers: int, seconds: int) -> int:
    """In the first worker; returns the store's port."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # compiled

    listener = socket.create_server((LOOPBACK, 0))
    port = listener.getsockname()[1]
    store = TCPStore(
        LOOPBACK,
        port,
        workers,
        is_master=True,
        timeout=timedelta(seconds=seconds),
        wait_for_workers=False,
        master_listen_fd=listener.detach(),
    )
    _kept.append(store)
    return port


def _find_store(port: int) -> None:
    """In every worker: it is a client of the store that is there already, as under torch's elastic launcher."""
    os.environ.update(MASTER_ADDR=LOOPBACK, MASTER_PORT=str(port), TORCHELASTIC_USE_AGENT_STORE="True")
    for name in _TRANSPORTS:
        os.environ.setdefault(name, _INTERFACE)
