"""How long calls take, and on what machine."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from detector_steps import Call

__all__ = ["Times", "interleaved", "machine", "matrix_rate", "synchronise", "versions"]


@dataclass
class Times:
    """Seconds of every call.

    Arguments:
        wall: until its work was done.
        host: until it returned; what it had asked of a GPU may still run.
        processor: of this process.
    """

    wall: list[float] = field(default_factory=list)
    host: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def median(self, kind: str) -> float:
        """Of `wall`, `host` or `processor`."""
        return statistics.median(getattr(self, kind))


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def interleaved(
    calls: Mapping[str, Call], device: torch.device, *, seconds: float, warm: int = 2, least: int = 3, most: int = 200
) -> dict[str, Times]:
    """Time the calls in turns, so that what else the machine does meets all of them.

    Arguments:
        seconds: in all, about.
        warm: rounds that do not count.
        least, most: rounds that do.
    """
    for _ in range(warm):
        for call in calls.values():
            call()
    synchronise(device)
    times = {name: Times() for name in calls}
    end = time.perf_counter() + seconds
    for done in range(most):
        if done >= least and time.perf_counter() > end:
            break
        for name, call in calls.items():
            processor, start = time.process_time(), time.perf_counter()
            call()
            returned = time.perf_counter()
            synchronise(device)
            times[name].wall.append(time.perf_counter() - start)
            times[name].host.append(returned - start)
            times[name].processor.append(time.process_time() - processor)
    return times


def matrix_rate(device: torch.device, size: int, seconds: float = 2.0) -> float:
    """Floating-point operations per second of a product of two square float32 matrices: the best of several."""
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(size, size, generator=generator).to(device) for _ in range(2))
    times = interleaved({"product": lambda: first @ second}, device, seconds=seconds, most=50)["product"]
    return 2 * size**3 / min(times.wall if device.type == "cuda" else times.processor)


def versions() -> dict[str, str]:
    """Of what computes; packages that are absent are left out."""
    found = {"python": platform.python_version()}
    for name in ("torch", "numpy", "scipy", "timm", "FrEIA", "safetensors", "opencv-python-headless"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def machine(device: torch.device) -> str:
    """The device by name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line for line in lines if "model name" in line]
    return names[0].partition(":")[2].strip() if names else platform.machine()
