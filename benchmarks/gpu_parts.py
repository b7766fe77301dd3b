"""What `gpu.py` measures, part by part; each gives rows of its table."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import socket
import statistics
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import light_imports
import torch
import torch.distributed as dist
from detector_inference import csflow_inference, glass_inference
from detector_steps import SIZES, Call, Sizes, csflow_step, glass_step, make_detector, step_of
from parity_values import parity_errors
from step_timing import Times, interleaved, synchronise
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from raylab2f.detectors.precision import PRECISIONS, products_in

__all__ = ["PARTS", "Row", "Task"]

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Task:
    """What to measure with.

    Arguments:
        device: where.
        sizes: name in `SIZES`.
        reference: folder of reference values.
        seconds: that a timing takes, about.
    """

    device: torch.device
    sizes: str
    reference: Path
    seconds: float

    @property
    def small(self) -> bool:
        return self.sizes == "small"


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Arguments:
        what: was measured.
        ours, published: in `unit`; `None`: there is none.
        note: in words.
    """

    what: str
    ours: float | None
    published: float | None
    unit: str
    note: str = ""


def parity(task: Task) -> list[Row]:
    """Reference values on the device: largest relative errors, in float64, and in float32 with and without TF32."""
    modes = [("float64", torch.float64, "float32"), ("float32", torch.float32, "float32")]
    if task.device.type == "cuda":
        modes.append(("TF32", torch.float32, "tf32"))
    rows = []
    for mode, dtype, precision in modes:
        with products_in(precision):
            errors = parity_errors(task.reference, task.device, dtype)
        for name, sides in errors.items():
            (ours, where), (published, _) = sides["ours"], sides["published"]
            rows.append(Row(f"{name}, {mode}", ours, published, "relative error", f"largest: {where}"))
    return rows


def training(task: Task) -> list[Row]:
    """A step of each detector: time, the host's share of it, peak memory, calls that wait for the device."""
    sizes, device = SIZES[task.sizes], task.device
    both = ("ours", "published")
    kinds: dict[str, dict[str, Callable[[], Call]]] = {}
    for precision in PRECISIONS if device.type == "cuda" else ("float32",):
        own = Sizes(replace(sizes.csflow, precision=precision), replace(sizes.glass, precision=precision))
        # The published steps have no shorter types.
        sides = ("ours",) if precision == "bfloat16" else both
        kinds[f"csflow, {precision}"] = {side: partial(csflow_step, side, own, device) for side in sides}
        kinds[f"glass, {precision}"] = {side: partial(glass_step, side, own, device) for side in sides}
    kinds["glass, noise drawn on the device"] = {
        "published": partial(glass_step, "published", sizes, device, host_noise=False)
    }
    if light_imports.HAS_OPENCV:
        kinds["glass, local anomalies drawn"] = {
            side: partial(glass_step, side, sizes, device, drawn=True) for side in both
        }
    rows = []
    for kind, sides in kinds.items():
        rows += _training_rows(kind, {side: _measure(make, task) for side, make in sides.items()})
    return rows


@dataclass(frozen=True)
class _Measured:
    times: Times
    memory: int
    waits: list[str]


def _training_rows(kind: str, measured: dict[str, _Measured]) -> list[Row]:
    figures: list[tuple[str, Callable[[_Measured], float], str]] = [
        ("step", lambda m: 1e3 * m.times.median("wall"), "ms"),
        ("host's share of a step", lambda m: m.times.median("host") / m.times.median("wall"), "share"),
    ]
    waits = []
    if any(m.memory for m in measured.values()):
        figures += [
            ("peak memory", lambda m: m.memory / 2**30, "GiB"),
            ("calls that wait for the device", lambda m: len(m.waits), "a step"),
        ]
        waits = [
            Row(f"{kind}: waits, {side}", None, None, "", ", ".join(m.waits) or "none") for side, m in measured.items()
        ]
    rows = []
    for what, value, unit in figures:
        ours, published = (value(measured[side]) if side in measured else None for side in ("ours", "published"))
        rows.append(Row(f"{kind}: {what}", ours, published, unit))
    return rows + waits


def _measure(make: Callable[[], Call], task: Task) -> _Measured:
    """One side alone on the device, so that the peak is its own."""
    cuda = task.device.type == "cuda"
    call = make()
    gc.collect()
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(task.device)
    times = interleaved({"": call}, task.device, seconds=task.seconds)[""]
    memory = torch.cuda.max_memory_allocated(task.device) if cuda else 0
    return _Measured(times, memory, _waits(call) if cuda else [])


def _waits(call: Call) -> list[str]:
    """Places where a call waits for the device, as torch reports them: file and line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            call()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found = []
    for warning in caught:
        if "synchroniz" in str(warning.message):
            path = Path(warning.filename)
            inside = path.is_relative_to(_ROOT) and "site-packages" not in path.parts
            name = path.relative_to(_ROOT) if inside else Path(*path.parts[-3:])
            found.append(f"{name}:{warning.lineno}")
    return found


def distributed(task: Task) -> list[Row]:
    """One process under DistributedDataParallel, on a GPU with synchronised batch norm: the same step as without."""
    sizes, device = SIZES[task.sizes], task.device
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, f"tcp://127.0.0.1:{port}", world_size=1, rank=0)
    rows = []
    try:
        for name in ("csflow", "glass"):
            detector, samples, _ = make_detector(name, sizes, device, torch.float64)
            before = [parameter.detach().clone() for parameter in detector.parameters()]
            state = copy.deepcopy(detector.state_dict())
            step_of(detector, samples)()
            alone = [parameter.detach().clone() for parameter in detector.parameters()]
            detector.load_state_dict(state)
            step_of(detector, samples, _wrapped(detector, device))()
            # What a step changes is small beside the parameters, so errors are relative to the change.
            error = max(
                float((own.detach() - other).abs().max() / (other - old).abs().max().clamp(min=1e-300))
                for own, other, old in zip(detector.parameters(), alone, before, strict=True)
            )
            rows.append(Row(f"{name}: largest deviation from the unwrapped step, float64", error, None, "of the step"))
            if error > 1e-5:
                raise AssertionError(f"{name}: a wrapped step differs by {error:.1e} of the step")
            del detector, samples, alone, before, state
            rows += _wrapped_times(name, task)
            gc.collect()
    finally:
        dist.destroy_process_group()
    return rows


def _wrapped(detector: nn.Module, device: torch.device) -> nn.Module:
    """As the workers of a fold do it."""
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(detector)
    return DistributedDataParallel(detector, device_ids=[device] if device.type == "cuda" else None)


def _wrapped_times(name: str, task: Task) -> list[Row]:
    detector, samples, _ = make_detector(name, SIZES[task.sizes], task.device)
    alone = interleaved({"": step_of(detector, samples)}, task.device, seconds=task.seconds)[""]
    wrapped = _wrapped(detector, task.device)
    together = interleaved({"": step_of(detector, samples, wrapped)}, task.device, seconds=task.seconds)[""]
    ratio = together.median("wall") / alone.median("wall")
    return [Row(f"{name}: step wrapped", 1e3 * together.median("wall"), None, "ms", f"{ratio:.2f} of the unwrapped")]


def sharing(task: Task) -> list[Row]:
    """Two folds on the device in two processes: time of a step against one alone."""
    names = ("csflow",) if task.small else ("csflow", "glass")
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(2), context.Queue()
    arguments = [(rank, names, task, barrier, queue) for rank in range(2)]
    processes = [context.Process(target=_one_of_two, args=own) for own in arguments]
    for process in processes:
        process.start()
    try:
        found = dict(queue.get(timeout=180) for _ in processes)
    finally:
        for process in processes:
            process.join(timeout=10)
            if process.is_alive():
                process.terminate()
    for seconds in found.values():
        if isinstance(seconds, str):
            raise RuntimeError(seconds)
    rows = []
    for name in names:
        alone = found[0][name, "alone"]
        together = statistics.mean(found[rank][name, "together"] for rank in range(2))
        rows.append(Row(f"{name}: step, one fold alone", 1e3 * alone, None, "ms"))
        note = f"both folds together do {2 * alone / together:.2f} times the steps of one"
        rows.append(Row(f"{name}: step, two folds at a time", 1e3 * together, None, "ms", note))
    return rows


def _one_of_two(rank: int, names: Sequence[str], task: Task, barrier: Barrier, queue: Queue[Any]) -> None:
    """The first one measures alone while the second waits, ready; then both at a time."""
    try:
        if task.device.type == "cpu":
            torch.set_num_threads(1)
        sizes, found = SIZES[task.sizes], {}
        for name in names:
            call = (csflow_step if name == "csflow" else glass_step)("ours", sizes, task.device)
            for _ in range(3):
                call()
            synchronise(task.device)
            barrier.wait(timeout=150)
            if rank == 0:
                found[name, "alone"] = _seconds(call, task)
            barrier.wait(timeout=150)
            # Once done, go on until the other one is: none shall measure alone at the end.
            found[name, "together"] = _seconds(call, task)
            end = time.perf_counter() + task.seconds / 2
            while time.perf_counter() < end:
                call()
            synchronise(task.device)
        queue.put((rank, found))
    except Exception:
        barrier.abort()
        queue.put((rank, traceback.format_exc()))


def _seconds(call: Call, task: Task) -> float:
    return interleaved({"": call}, task.device, seconds=task.seconds)[""].median("wall")


def inference(task: Task) -> list[Row]:
    """Pictures a second in batches of 32, and how long a single picture takes."""
    sizes, device = SIZES[task.sizes], task.device
    many = 4 if task.small else 32
    rows = []
    for name, make in (("csflow", csflow_inference), ("glass", glass_inference)):
        for count in (many, 1):
            wall = {}
            for side in ("ours", "published"):
                gc.collect()
                if device.type == "cuda":
                    torch.cuda.empty_cache()
                call = make(side, sizes, device, count)
                wall[side] = interleaved({"": call}, device, seconds=task.seconds / 2)[""].median("wall")
                del call
            if count > 1:
                rates = (count / wall["ours"], count / wall["published"])
                rows.append(Row(f"{name}: inference in batches of {count}", *rates, "pictures/s"))
            else:
                rows.append(Row(f"{name}: a single picture", 1e3 * wall["ours"], 1e3 * wall["published"], "ms"))
    return rows


#: By name, in the order in which they run.
PARTS: dict[str, Callable[[Task], list[Row]]] = {
    "parity": parity,
    "training": training,
    "distributed": distributed,
    "sharing": sharing,
    "inference": inference,
}
