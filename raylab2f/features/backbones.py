"""Frozen timm backbones, only as deep as the deepest layer asked for.

Layers are modules of the timm model by name. Where to look for maps of a given stride:

| model | stride 8 | stride 16 | stride 32 |
|---|---|---|---|
| `tf_efficientnet_lite0` | `blocks.2` (40 channels) | `blocks.3` (80), `blocks.4` (112) | `blocks.5` (192) |
| `wide_resnet50_2` | `layer2` (512) | `layer3` (1024) | `layer4` (2048) |
| `tf_efficientnet_b5` | `blocks.2` (64) | `blocks.3` (128), `blocks.4` (176) | `blocks.5` (304), `blocks.6` (512) |

A vision transformer's blocks (`blocks.0` and so on) and its final `norm` give maps of its patch tokens, without class
tokens and registers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from raylab2f.errors import UserError, first_line
from raylab2f.features.architectures import pretrained_config, untrained_network
from raylab2f.features.folding import fold_batch_norms
from raylab2f.features.truncation import ModuleRun, check_layers, cut_behind, meta_run, token_grid, trace
from raylab2f.features.weights import Normalisation, Weights, install_weights, read_weights, weights_digest

__all__ = ["Backbone", "BackboneSpec", "ShapeFinder", "backbone_weights", "create_backbone", "shape_finder"]

#: From pictures' height and width to the shapes (C, h, w) of the maps that are made of them.
ShapeFinder = Callable[[tuple[int, int]], list[tuple[int, int, int]]]

# So many pixels of input per thread pass the network at once on the CPU: intermediate maps stay in its caches.
_PORTION_PIXELS = 2**17
# Up to so many pictures together, sums are formed in the same order as of one by itself; of more, other kernels do it.
_PORTION_PICTURES = 8


@dataclass(frozen=True)
class BackboneSpec:
    """Which features of which network.

    Arguments:
        name: timm model, perhaps with the tag of its pretrained weights, e.g. `wide_resnet50_2.tv_in1k`.
        weights: `bundled`, `hub`, or the path of a weights file; see `read_weights`.
        layers: names of the modules whose outputs are wanted, in any order.
    """

    name: str
    weights: str
    layers: tuple[str, ...]


def create_backbone(spec: BackboneSpec, weights: Weights | None = None) -> Backbone:
    """Build the network as far as it is needed, put its weights in and freeze it.

    Arguments:
        weights: those of the part that is needed, as `backbone_weights` gives them; `None`: those that `spec` names.

    Raises:
        UserError: unknown model or layer, or weights that cannot be had. There are no random weights to fall back on.

    Example:
        >>> backbone = create_backbone(BackboneSpec("tf_efficientnet_lite0", "bundled", ("blocks.2", "blocks.4")))
        >>> backbone.feature_shapes((160, 160))
        [(40, 20, 20), (112, 10, 10)]
    """
    network, runs = _traced(spec)
    weights = weights or read_weights(spec.name, spec.weights, network)
    known = frozenset(network.state_dict())
    deepest = _deepest(spec, runs)
    cut_behind(network, deepest, runs)
    install_weights(network, weights, known)
    digest = weights_digest(network, weights.normalisation)
    fold_batch_norms(network, runs, spec.layers)
    return Backbone(network, _layouts(spec, runs), deepest, weights.normalisation, digest)


def backbone_weights(spec: BackboneSpec) -> Weights:
    """The weights of the part of the network that `create_backbone` needs, which can be kept with a detector.

    Raises:
        UserError: as for `create_backbone`.
    """
    network, runs = _traced(spec)
    weights = read_weights(spec.name, spec.weights, network)
    cut_behind(network, _deepest(spec, runs), runs)
    state = {name: weights.state[name] for name in network.state_dict() if name in weights.state}
    return Weights(state, weights.normalisation, weights.origin)


def shape_finder(spec: BackboneSpec) -> ShapeFinder:
    """`Backbone.feature_shapes` of the network that `create_backbone` makes, where its weights are not at hand.

    Raises:
        UserError: unknown model or layer.
    """
    network, runs = _traced(spec)
    deepest = _deepest(spec, runs)
    cut_behind(network, deepest, runs)
    nothing = Normalisation((0.0,) * 3, (1.0,) * 3)
    # Of a network without weights nobody gets more than the shapes.
    return Backbone(network, _layouts(spec, runs), deepest, nothing, "").feature_shapes


def _traced(spec: BackboneSpec) -> tuple[nn.Module, dict[str, ModuleRun]]:
    network = untrained_network(spec.name)
    try:
        runs = trace(network, pretrained_config(network)["input_size"][1:])
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UserError(f"--backbone {spec.name} does not run ({first_line(error)}); choose another.") from error
    check_layers(spec.name, spec.layers, network, runs)
    return network, runs


def _deepest(spec: BackboneSpec, runs: Mapping[str, ModuleRun]) -> str:
    return max(spec.layers, key=lambda layer: runs[layer].finished)


def _layouts(spec: BackboneSpec, runs: Mapping[str, ModuleRun]) -> dict[str, str]:
    return {layer: runs[layer].layout or "" for layer in spec.layers}


class Backbone(nn.Module):
    """A frozen feature extractor; made by `create_backbone`. It stays in evaluation mode and has no gradients.

    Arguments:
        network: a timm model, cut behind `deepest`.
        layouts: by module whose output is wanted: `NCHW`, `NHWC`, or `NLC` for tokens.
        deepest: the one of them that finishes last.
        normalisation: of the network's input.
        weights_digest: identifies weights and normalisation.
    """

    def __init__(
        self,
        network: nn.Module,
        layouts: Mapping[str, str],
        deepest: str,
        normalisation: Normalisation,
        weights_digest: str,
    ) -> None:
        super().__init__()
        # On the CPU, channels last makes convolutions faster; together with folded batch norms nearly twice as fast.
        self.network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.layers = tuple(layouts)
        self.weights_digest = weights_digest
        self._deepest = deepest
        self._layouts = dict(layouts)
        self._captured: dict[str, Tensor] = {}
        self._size = (0, 0)
        for layer in self.layers:
            network.get_submodule(layer).register_forward_hook(partial(self._capture, layer))
        self.register_buffer("_mean", torch.tensor(normalisation.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(normalisation.std).view(1, 3, 1, 1), persistent=False)

    def preprocess(self, pictures: Tensor) -> Tensor:
        """Pictures (B, H, W, 3), RGB in 0..255, uint8 or floating, as the (B, 3, H, W) input of `forward`."""
        if pictures.ndim != 4 or pictures.shape[-1] != 3:
            raise ValueError(f"pictures must be (B, H, W, 3), not {tuple(pictures.shape)}")
        mean, std = self.get_buffer("_mean"), self.get_buffer("_std")
        return (pictures.permute(0, 3, 1, 2).to(mean.dtype) - mean) / std

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> list[Tensor]:
        """The maps (B, C, h, w) of the layers, in their order, for normalised pictures (B, 3, H, W)."""
        portion = max(1, len(pictures))
        if pictures.device.type == "cpu":
            each = min(_PORTION_PICTURES, _PORTION_PIXELS // (pictures.shape[2] * pictures.shape[3]))
            portion = max(1, torch.get_num_threads() * each)
        portions = [self.maps(part) for part in pictures.split(portion)]
        return portions[0] if len(portions) == 1 else [torch.cat(maps) for maps in zip(*portions, strict=True)]

    def feature_shapes(self, size: tuple[int, int]) -> list[tuple[int, int, int]]:
        """Shapes (C, h, w) of the layers' maps for pictures of `size` (height, width); nothing is computed.

        Raises:
            UserError: the network does not take pictures of this size.
        """
        try:
            maps = meta_run(self, size)
        except (RuntimeError, AssertionError, ValueError) as error:
            raise UserError(
                f"--size {size[0]}x{size[1]}: the backbone cannot take it ({first_line(error)}); choose another "
                "size or --backbone."
            ) from error
        return [(map_.shape[1], map_.shape[2], map_.shape[3]) for map_ in maps]

    def train(self, mode: bool = True) -> Backbone:
        """Stay in evaluation mode whatever is asked: the statistics of batch norm are part of the weights."""
        return super().train(False)

    def maps(self, pictures: Tensor) -> list[Tensor]:
        """As `forward`, but all pictures together, as needed where the network is traced for another runtime."""
        self._captured.clear()
        self._size = (pictures.shape[2], pictures.shape[3])
        with suppress(_DeepestReached):
            self.network(pictures.contiguous(memory_format=torch.channels_last))
        return [self._captured.pop(layer) for layer in self.layers]

    def _capture(self, layer: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if layer in self._captured:
            return
        if self._layouts[layer] == "NHWC":
            output = output.permute(0, 3, 1, 2)
        elif self._layouts[layer] == "NLC":
            grid = token_grid(self.network, self._size)
            assert grid is not None, "only transformers give tokens"
            output = output[:, grid[0] :].transpose(1, 2).unflatten(2, grid[1:])
        # A copy, for the next module may overwrite its input.
        self._captured[layer] = output.clone(memory_format=torch.contiguous_format)
        if layer == self._deepest:
            raise _DeepestReached


class _DeepestReached(Exception):
    """Leaves the network where all that is wanted has been seen."""
