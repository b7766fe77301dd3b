"""A training by several processes that average their gradients (gloo, CPU), without ray."""

import json
import multiprocessing
import socket
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch.nn.parallel import DistributedDataParallel

from raylab2f.detectors.base import Samples, Schedule
from raylab2f.detectors.csflow import CSFlow, CSFlowConfig
from raylab2f.detectors.glass import Glass, GlassConfig
from raylab2f.detectors.training import Worker, train_epochs

PICTURES = 22
PICTURE_SIZE = (32, 48)


def train(detector, workers, folder, epochs=3, **settings):
    """Losses of the epochs, and per worker the parameters at the end.

    Arguments:
        detector: `csflow` or `glass`.
        workers: processes; one trains without DistributedDataParallel.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    # A server that has imported torch is forked for every worker: importing takes longer than training.
    multiprocessing.set_forkserver_preload(["raylab2f.detectors.csflow", "raylab2f.detectors.glass"])
    torch.multiprocessing.start_processes(
        _train, (detector, workers, port, str(folder), epochs, settings), nprocs=workers, start_method="forkserver"
    )
    results = [json.loads((Path(folder) / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(workers)]
    return results[0]["losses"], [np.array(result["parameters"]) for result in results]


def _train(rank, name, workers, port, folder, epochs, settings):
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    # The last batch of 22 pictures has 6: four workers get 1, 2, 1 and 2 of them.
    schedule = Schedule(epochs=epochs, batch_size=8, max_grad_norm=1.0 if name == "csflow" else None)
    detector, samples = _MAKE[name](schedule, settings)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", timedelta(seconds=60), world_size=workers, rank=rank)
    try:
        detector.begin(samples, seed=1)
        reports = train_epochs(
            detector,
            samples,
            schedule,
            detector.optimizers(),
            seed=5,
            worker=Worker(rank, workers),
            module=DistributedDataParallel(detector) if workers > 1 else None,
        )
        losses = [report.loss for report in reports]
    finally:
        dist.destroy_process_group()
    parameters = torch.cat([parameter.detach().flatten() for parameter in detector.parameters()]).tolist()
    content = json.dumps({"losses": losses, "parameters": parameters})
    (Path(folder) / f"{rank}.json").write_text(content, encoding="utf-8")


def _make_csflow(schedule, settings):
    generator = torch.Generator().manual_seed(1)
    features = [torch.randn(PICTURES, 4, 8 >> scale, 8 >> scale, generator=generator) for scale in range(3)]
    config = CSFlowConfig(hidden_channels=6, schedule=schedule, learning_rate=1e-2, **settings)
    return CSFlow(config, [tuple(f.shape[1:]) for f in features]).double(), Samples(features, dtype=torch.float64)


class _SmallBackbone(torch.nn.Module):
    """Two levels of strides 4 and 8, with random weights."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.fine = torch.nn.Conv2d(3, 5, 5, stride=4, padding=2)
        self.coarse = torch.nn.Conv2d(5, 8, 3, stride=2, padding=1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(0, 0.2, generator=generator).requires_grad_(False)

    def preprocess(self, pictures):
        return pictures.permute(0, 3, 1, 2).to(self.fine.weight.dtype) / 64 - 1

    @torch.no_grad()
    def forward(self, pictures):
        fine = torch.tanh(self.fine(pictures))
        return [fine, torch.tanh(self.coarse(fine))]


def _make_glass(schedule, settings):
    backbone = _SmallBackbone()
    pictures = torch.from_numpy(np.random.default_rng(0).integers(60, 90, (PICTURES, *PICTURE_SIZE, 3), dtype=np.uint8))
    samples = Samples(backbone(backbone.preprocess(pictures)), pictures, dtype=torch.float64)
    config = GlassConfig(
        size=PICTURE_SIZE, schedule=schedule, **{"embedding": 24, "hidden": 16, "hypothesis": "manifold", **settings}
    )
    detector = Glass(config, [tuple(level.shape[1:]) for level in samples.features], backbone).double()
    return detector, samples


_MAKE = {"csflow": _make_csflow, "glass": _make_glass}
