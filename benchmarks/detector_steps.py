"""One training step of each detector, ours and as published, with the same parameters and batch.

What `gpu.py` and `steps.py` time: calls without arguments.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from unittest.mock import patch

import light_imports  # noqa: F401
import numpy as np
import torch
from published_steps import PublishedCSFlow, PublishedGlass
from torch import Tensor, nn

import raylab2f.detectors.glass.detector as glass_detector
from raylab2f.detectors.base import Detector, Samples, Schedule, Step
from raylab2f.detectors.csflow import CSFLOW_PRESETS, CSFlow, CSFlowConfig
from raylab2f.detectors.glass import GLASS_PRESETS, Glass, GlassConfig
from raylab2f.detectors.glass.local_anomalies import LocalAnomaly, draw_local_anomaly
from raylab2f.detectors.glass.textures import Textures
from raylab2f.detectors.precision import products_in
from raylab2f.detectors.training import train_step
from raylab2f.features.architectures import pretrained_config, untrained_network
from raylab2f.features.backbones import Backbone, BackboneSpec, create_backbone
from raylab2f.features.folding import fold_batch_norms
from raylab2f.features.truncation import cut_behind, trace
from raylab2f.features.weights import Normalisation, read_weights

__all__ = [
    "SIZES",
    "Call",
    "PlainBackbone",
    "Sizes",
    "backbones",
    "csflow_shapes",
    "csflow_step",
    "glass_step",
    "make_detector",
    "random_pictures",
    "step_of",
]

Call = Callable[[], object]
_SEED = 0


@dataclass(frozen=True)
class Sizes:
    """Configurations of both detectors.

    Arguments:
        csflow, glass: whose weights are `bundled`, or random where they are not.
    """

    csflow: CSFlowConfig
    glass: GlassConfig


SIZES = {
    "paper": Sizes(
        replace(CSFLOW_PRESETS["paper"], weights="random"),
        replace(GLASS_PRESETS["paper"], weights="random", hypothesis="manifold"),
    ),
    "fast": Sizes(CSFLOW_PRESETS["fast"], GLASS_PRESETS["fast"]),
    "small": Sizes(
        CSFlowConfig(
            backbone="tf_efficientnet_lite0",
            weights="random",
            size=(64, 64),
            layers=("blocks.2",),
            hidden_channels=8,
            kernel_sizes=(3, 5),
            schedule=Schedule(epochs=1, batch_size=4, max_grad_norm=1.0),
        ),
        GlassConfig(
            backbone="tf_efficientnet_lite0",
            weights="random",
            size=(64, 64),
            layers=("blocks.2", "blocks.4"),
            embedding=32,
            hidden=16,
            hypothesis="manifold",
            schedule=Schedule(epochs=1, batch_size=4),
        ),
    ),
}


class PlainBackbone(nn.Module):
    """A timm network as it comes, left where its deepest layer has been seen; normalised pictures to maps."""

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.network, self.layers = network.eval().requires_grad_(False), tuple(layers)
        self.seen: dict[str, Tensor] = {}
        for layer in layers:
            network.get_submodule(layer).register_forward_hook(self._hook(layer))

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> list[Tensor]:
        self.seen.clear()
        with suppress(StopIteration):
            self.network(pictures)
        return [self.seen[layer] for layer in self.layers]

    def _hook(self, layer: str) -> Callable[..., None]:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self.seen[layer] = output
            if len(self.seen) == len(self.layers):
                raise StopIteration

        return keep


def backbones(config: CSFlowConfig | GlassConfig, device: torch.device) -> tuple[Backbone, PlainBackbone]:
    """Ours and the plain one, with the same weights."""
    network = _untrained(config.backbone)
    if config.weights == "random":
        plain = _untrained(config.backbone)
        known = pretrained_config(network)
        runs = trace(network, known["input_size"][1:])
        deepest = max(config.layers, key=lambda layer: runs[layer].finished)
        cut_behind(network, deepest, runs)
        fold_batch_norms(network, runs, config.layers)
        normalisation = Normalisation(*(tuple(255.0 * value for value in known[key]) for key in ("mean", "std")))
        layouts = {layer: runs[layer].layout or "" for layer in config.layers}
        ours = Backbone(network, layouts, deepest, normalisation, "random")
    else:
        plain = network
        plain.load_state_dict(dict(read_weights(config.backbone, config.weights, plain).state), strict=False)
        ours = create_backbone(BackboneSpec(config.backbone, config.weights, config.layers))
    return ours.to(device), PlainBackbone(plain, config.layers).to(device)


def make_detector(
    name: str, sizes: Sizes, device: torch.device, dtype: torch.dtype = torch.float32, count: int = 0
) -> tuple[Detector, Samples, PlainBackbone | None]:
    """A detector ready to train, and the training partition it has seen: features of random pictures.

    Arguments:
        count: pictures; 0: one batch.

    Returns:
        For GLASS also the plain backbone; CS-Flow trains without.
    """
    generator = torch.Generator().manual_seed(_SEED)
    if name == "csflow":
        config = sizes.csflow
        # A step depends on the maps' shapes alone.
        shapes = csflow_shapes(config)
        count = count or config.schedule.batch_size
        maps = [torch.randn(count, *shape, generator=generator).to(device) for shape in shapes]
        flow, samples = CSFlow(config, shapes).to(device, dtype), Samples(maps, dtype=dtype)
        flow.begin(samples, _SEED)
        return flow.train(), samples, None
    glass = sizes.glass
    ours, plain = backbones(glass, device)
    pictures = random_pictures(count or glass.schedule.batch_size, glass.size, generator)
    with torch.no_grad():
        features = ours(ours.preprocess(pictures.to(device)))
    detector = Glass(glass, [(f.shape[1], f.shape[2], f.shape[3]) for f in features], ours.to(dtype)).to(device, dtype)
    samples = Samples(features, pictures.to(device), dtype=dtype)
    # Which textures there are is asked where anomalies are drawn.
    with patch.object(glass_detector, "Textures"):
        detector.begin(samples, _SEED)
    detector.begin_epoch(samples, 0)
    return detector.train(), samples, plain.to(dtype)


def _untrained(name: str) -> nn.Module:
    """A copy of the network, which is made once."""
    return copy.deepcopy(_networks(name))


@cache
def _networks(name: str) -> nn.Module:
    return untrained_network(name, _SEED)


@cache
def csflow_shapes(config: CSFlowConfig) -> list[tuple[int, int, int]]:
    """Of the features at the three scales."""
    network = _untrained(config.backbone)
    (layer,) = config.layers
    runs = trace(network, (config.size[0], config.size[0]))
    _, channels, height, _ = runs[layer].output.shape
    stride = config.size[0] // height
    return [(channels, (config.size[0] >> scale) // stride, (config.size[1] >> scale) // stride) for scale in range(3)]


def step_of(
    detector: Detector, samples: Samples, module: nn.Module | None = None, textures: Textures | None = None
) -> Call:
    """One step as `train_epochs` takes it, on the samples' first batch.

    Arguments:
        module: the detector wrapped, as there.
        textures: of which GLASS draws other local anomalies every time, a step ahead; `None`: always the same.
    """
    schedule, precision = detector.config.schedule, detector.config.precision
    rows = torch.arange(schedule.batch_size)
    step = Step(seed=_SEED, epoch=0, index=0, global_size=len(rows))
    optimizers = detector.optimizers()
    total = torch.zeros((), dtype=torch.float64, device=samples.device)

    def take(prepared: Any) -> None:
        batch = samples.batch(rows, prepared)
        with products_in(precision):
            total.add_(train_step(module or detector, batch, step, optimizers, schedule.max_grad_norm) * len(rows))

    if not isinstance(detector, Glass):
        return lambda: take(None)
    if textures is None:
        given = _drawer(detector.config.size, detector.grid, None)
        with patch.object(glass_detector, "draw_local_anomaly", given):
            ready = detector.prepare(rows, step)
        return lambda: take(ready)
    detector._textures = textures
    thread = ThreadPoolExecutor(1)
    coming = [thread.submit(detector.prepare, rows, step)]

    def ahead() -> None:
        ready = coming.pop()
        coming.append(thread.submit(detector.prepare, rows, step))
        take(ready.result())

    return ahead


def csflow_step(side: str, sizes: Sizes, device: torch.device) -> Call:
    """A training step from features; side: `ours` or `published`."""
    detector, samples, _ = make_detector("csflow", sizes, device)
    if side == "ours":
        return step_of(detector, samples)
    flow = PublishedCSFlow(sizes.csflow, samples.features[0].shape[1], detector.state_dict()).train()
    maps = [feature.cpu() for feature in samples.features]
    del detector, samples
    return _in_precision(lambda: flow.step(maps, device), sizes.csflow.precision)


def glass_step(side: str, sizes: Sizes, device: torch.device, *, drawn: bool = False, host_noise: bool = True) -> Call:
    """A training step from pictures, of which ours knows the nominal ones' features from the feature store.

    Arguments:
        side: `ours` or `published`.
        drawn: local anomalies are drawn within the step, by the same code for both; else they were before.
        host_noise: the published step draws its noise in the host's memory, as the authors' code does.
    """
    detector, samples, plain = make_detector("glass", sizes, device)
    assert isinstance(detector, Glass)
    config = sizes.glass
    count, grid = config.schedule.batch_size, detector.grid
    textures = Textures(None, config.size) if drawn else None
    if side == "ours":
        return step_of(detector, samples, textures=textures)
    draw = _drawer(config.size, grid, textures)
    assert plain is not None
    assert detector.center is not None
    assert samples.pictures is not None
    generator = torch.Generator("cpu" if host_noise else device).manual_seed(_SEED)
    model = PublishedGlass(config, plain, detector.state_dict(), detector.center, generator).train()
    (backbone,) = detector._backbone
    assert isinstance(backbone, Backbone)
    backbone = backbone.cpu()
    nominal = samples.pictures.cpu()
    numbers = np.random.default_rng(_SEED)

    def loaded() -> tuple[Tensor, Tensor]:
        anomalies = [draw(None, textures, grid, numbers) for _ in range(count)]
        masks = torch.from_numpy(np.stack([a.mask for a in anomalies]))
        overlays = torch.from_numpy(np.stack([a.texture for a in anomalies])).float()
        weights = torch.tensor([1 - a.share for a in anomalies]).view(-1, 1, 1) * masks
        changed = torch.lerp(nominal.float(), overlays, weights[..., None].float())
        patches = torch.from_numpy(np.stack([a.patches for a in anomalies]))
        return backbone.preprocess(changed), patches.long()

    pictures, ready = backbone.preprocess(nominal), loaded()
    del detector, samples
    return _in_precision(lambda: model.step(pictures, *(loaded() if drawn else ready)), config.precision)


def _in_precision(call: Call, precision: str) -> Call:
    """The published step with the types of ours: a GPU's own default rounds its convolutions alone."""

    def step() -> object:
        with products_in(precision):
            return call()

    return step


def random_pictures(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (count, *size, 3), generator=generator, dtype=torch.uint8)


def _drawer(size: tuple[int, int], grid: tuple[int, int], textures: Textures | None) -> Callable[..., LocalAnomaly]:
    """What stands in for `draw_local_anomaly`: with textures it draws, without it gives the same anomaly again."""
    if textures is not None:
        return lambda foreground, _, *rest, **more: draw_local_anomaly(foreground, textures, *rest, **more)
    generator = torch.Generator().manual_seed(_SEED)
    texture = torch.randint(0, 256, (*size, 3), generator=generator, dtype=torch.uint8).numpy()
    mask, patches = np.zeros(size, bool), np.zeros(grid, bool)
    mask[: size[0] // 2, : size[1] // 2] = True
    patches[: -(-grid[0] // 2), : -(-grid[1] // 2)] = True
    anomaly = LocalAnomaly(mask, patches, texture, 0.5)
    return lambda *_, **__: anomaly
