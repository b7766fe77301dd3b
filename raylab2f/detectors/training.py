"""The one training loop: any detector, one process or many.

A worker of a distributed run calls it with the same samples and seed as all others and its own rank; it computes
its share of every global batch. Gradients are averaged by the module it is given (DistributedDataParallel).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from raylab2f.detectors.base import Batch, Detector, Samples, Schedule, Step
from raylab2f.detectors.precision import precision_of, products_in
from raylab2f.seeding import numpy_generator

__all__ = ["EpochReport", "TrainingDivergedError", "Worker", "predict_batches", "train_epochs", "train_step"]


# More would take the interpreter's lock from the thread that trains.
_PREPARING = 4


class TrainingDivergedError(RuntimeError):
    """The loss became NaN or infinite."""


@dataclass(frozen=True)
class Worker:
    """One process of a training.

    Arguments:
        rank: from 0.
        count: processes in all.
    """

    rank: int = 0
    count: int = 1


@dataclass(frozen=True)
class EpochReport:
    """What one epoch was like.

    Arguments:
        epoch: number of epochs finished, from 1.
        loss: mean over the epoch's pictures.
        pictures_per_second: over all workers.
    """

    epoch: int
    loss: float
    pictures_per_second: float


def train_epochs(
    detector: Detector,
    samples: Samples,
    schedule: Schedule,
    optimizers: Sequence[torch.optim.Optimizer],
    *,
    seed: int,
    first_epoch: int = 0,
    worker: Worker | None = None,
    module: nn.Module | None = None,
) -> Iterator[EpochReport]:
    """Train the epochs from `first_epoch` to the schedule's end; yields after each, when a checkpoint may be taken.

    What an epoch draws, and in which order, depends on the seed, the epoch and the kind of samples alone, so a training
    resumed from a checkpoint goes on as if it had not stopped, and the number of workers changes neither batches nor
    random numbers.

    Arguments:
        detector: after `begin`.
        samples: the whole training partition, on the detector's device, the same on all workers.
        optimizers: `detector.optimizers()`, possibly with restored state.
        seed: the fold's training seed.
        first_epoch: epochs already done.
        worker: this process's place; `None`: the only one.
        module: `detector` wrapped in DistributedDataParallel; `None` on one process.

    Raises:
        TrainingDivergedError: the mean loss of an epoch is not finite.
    """
    worker = worker or Worker()
    module = module or detector
    precision = precision_of(detector.config)
    first_rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    for epoch in range(first_epoch, schedule.epochs):
        start = time.perf_counter()
        detector.eval()
        detector.begin_epoch(samples, epoch)
        detector.train()
        drawn = _epoch_order(len(samples), schedule.samples_per_epoch, seed, epoch)
        order = samples.epoch_order(drawn, seed, epoch)
        # Summed on the device, read once an epoch: a step never waits for the host.
        loss_sum = torch.zeros((), dtype=torch.float64, device=samples.device)
        shares = [_share(rows, worker) for rows in samples.groups(order, schedule.batch_size)]
        steps = [
            Step(seed=seed, epoch=epoch, index=index, offset=share.offset, global_size=share.of)
            for index, share in enumerate(shares)
        ]
        prepared = _prepared(detector, [share.rows for share in shares], steps)
        batches = samples.batches(share.rows for share in shares)
        seen = 0
        for share, step, ready, batch in zip(shares, steps, prepared, batches, strict=True):
            factor = _rate_factor(schedule, epoch + seen / len(order))
            seen += share.of
            for optimizer, rates in zip(optimizers, first_rates, strict=True):
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * factor
            # DistributedDataParallel averages over workers; the weight turns that into the mean over pictures.
            weight = share.counting * worker.count / share.of
            with products_in(precision):
                loss = train_step(
                    module, replace(batch, prepared=ready), step, optimizers, schedule.max_grad_norm, weight
                )
            loss_sum += loss * share.counting
        if worker.count > 1:
            dist.all_reduce(loss_sum)
        mean_loss = float(loss_sum) / len(order)
        if not torch.isfinite(loss_sum):
            raise TrainingDivergedError(f"The loss became {mean_loss} in epoch {epoch + 1}; lower the learning rate.")
        yield EpochReport(epoch + 1, mean_loss, len(order) / (time.perf_counter() - start))


def train_step(
    module: nn.Module,
    batch: Batch,
    step: Step,
    optimizers: Sequence[torch.optim.Optimizer],
    max_grad_norm: float | None = None,
    weight: float = 1.0,
) -> Tensor:
    """One step of all optimisers on a batch; waits for the device nowhere.

    Arguments:
        module: the detector, or what wraps it.
        max_grad_norm: see `Schedule`.
        weight: what the loss is multiplied by before its backward pass.

    Returns:
        The loss, a scalar on the device, without a graph.
    """
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss: Tensor = module(batch, step)
    (loss * weight).backward()
    if max_grad_norm is not None:
        groups = [group for optimizer in optimizers for group in optimizer.param_groups]
        nn.utils.clip_grad_norm_([parameter for group in groups for parameter in group["params"]], max_grad_norm)
    for optimizer in optimizers:
        optimizer.step()
    return loss.detach()


def predict_batches(detector: Detector, samples: Samples, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Scores (B,) and anomaly maps (B, h, w), float32 on the CPU, batch by batch in the order of `samples`."""
    detector.eval()
    for batch in samples.portions(batch_size):
        with products_in("float32"):
            prediction = detector.predict(batch)
        yield prediction.scores.float().cpu(), prediction.maps.float().cpu()


def _epoch_order(count: int, at_most: int | None, seed: int, epoch: int) -> Tensor:
    order = numpy_generator(seed, "order", epoch).permutation(count)
    return torch.from_numpy(order[:at_most])


def _rate_factor(schedule: Schedule, epochs: float) -> float:
    """What learning rates are multiplied by after so many epochs: from 1 to `final_rate` along half a cosine."""
    return schedule.final_rate + (1 - schedule.final_rate) * (1 + math.cos(math.pi * epochs / schedule.epochs)) / 2


@dataclass(frozen=True)
class _Share:
    """A worker's part of a global batch.

    Arguments:
        rows: (B,) int64.
        counting: so many of them count.
        offset: the first one's place in the global batch.
        of: rows of the global batch.
    """

    rows: Tensor
    counting: int
    offset: int
    of: int


def _share(rows: Tensor, worker: Worker) -> _Share:
    low = worker.rank * len(rows) // worker.count
    high = (worker.rank + 1) * len(rows) // worker.count
    if low == high:
        # Fewer pictures than workers: take part in the collective operations with a picture that counts nothing.
        low = min(low, len(rows) - 1)
        return _Share(rows[low : low + 1], 0, low, len(rows))
    return _Share(rows[low:high], high - low, low, len(rows))


def _prepared(detector: Detector, rows: Sequence[Tensor], steps: Sequence[Step]) -> Iterator[Any]:
    """What the detector prepares for each batch, as many batches ahead of the training as there are threads for it."""
    if type(detector).prepare is Detector.prepare:
        yield from [None] * len(steps)
        return
    count = min(_PREPARING, torch.get_num_threads())
    with ThreadPoolExecutor(count, "prepare") as threads:
        waiting = iter(zip(rows, steps, strict=True))
        coming: deque[Future[Any]] = deque()
        while True:
            for own, step in islice(waiting, 1 + count - len(coming)):
                coming.append(threads.submit(detector.prepare, own, step))
            if not coming:
                return
            yield coming.popleft().result()
