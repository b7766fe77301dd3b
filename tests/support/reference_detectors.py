"""The detectors of reference files (tests/reference), in the state before their training, in float64.

What `benchmarks/parity_values.py` needs on machines with torch alone is here too, so nothing else is imported.
"""

import json

import numpy as np
import torch
from torch import nn

from raylab2f.detectors.base import Schedule
from raylab2f.detectors.csflow import CSFlow, CSFlowConfig
from raylab2f.detectors.glass import Glass, GlassConfig

GLASS_NAMES = {"body.block1.0": "hidden", "body.block1.1": "norm", "tail.0": "tail"}


def csflow_of(values):
    """The detector, and its batch of maps at three scales."""
    settings = json.loads(str(values["config"]))
    maps = [torch.from_numpy(values[f"x{scale}"]) for scale in range(3)]
    config = CSFlowConfig(
        hidden_channels=settings["hidden_channels"],
        kernel_sizes=tuple(settings["kernel_sizes"]),
        clamp=settings["clamp"],
        learning_rate=settings["lr"],
        adam_eps=settings["adam_eps"],
        weight_decay=settings["weight_decay"],
        schedule=Schedule(epochs=1, batch_size=16, max_grad_norm=settings["max_grad_norm"]),
    )
    detector = CSFlow(config, [tuple(x.shape[1:]) for x in maps]).double()
    detector.load_state_dict({key: torch.from_numpy(values[source]) for key, source in csflow_names(detector)})
    return detector, maps


def csflow_names(detector):
    """The detector's state by name, and each one's name in a reference file."""
    for key in detector.state_dict():
        _, _, index, rest = key.split(".", 3)
        block, kind = divmod(int(index), 2)
        source = f"param/block{block}.{rest}"
        yield key, source if kind else f"permutation/block{block}/{rest.replace('permutation', 'scale')}"


class ToyBackbone(nn.Module):
    """The reference's two levels: convolution and tanh, strides 4 and 8."""

    def __init__(self, values, strides):
        super().__init__()
        self.steps = (strides[0], strides[1] // strides[0])
        for level in (2, 3):
            for kind in ("weight", "bias"):
                self.register_buffer(f"{kind}{level}", torch.from_numpy(values[f"backbone/layer{level}.0.{kind}"]))

    def forward(self, x):
        out = []
        for level, stride in zip((2, 3), self.steps, strict=True):
            weight, bias = (self.get_buffer(f"{kind}{level}") for kind in ("weight", "bias"))
            x = torch.tanh(nn.functional.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2))
            out.append(x)
        return out


def glass_of(values):
    """The detector and its backbone."""
    settings = json.loads(str(values["config"]))
    backbone = ToyBackbone(values, settings["strides"])
    shapes = [tuple(level.shape[1:]) for level in backbone(torch.from_numpy(values["step0/image"]))]
    config = GlassConfig(
        size=(settings["image_size"],) * 2,
        embedding=settings["embed_dim"],
        hidden=settings["hidden"],
        adaptor_rate=settings["lr_adaptor"],
        discriminator_rate=settings["lr_discriminator"],
        hypothesis=settings["hypothesis"],
        noise_std=settings["noise_std"],
        ascent_steps=settings["ascent_steps"],
        ascent_rate=settings["ascent_rate"],
        project_every=settings["project_every"],
        radius_quantile=settings["radius_quantile"],
        hard_quantile=settings["hard_mining_quantile"],
        smoothing_sigma=settings["map_smoothing_sigma"],
    )
    detector = Glass(config, shapes).double()
    detector.load_state_dict(glass_state(values, "before"))
    return detector, backbone


def glass_state(values, when):
    """The detector's state as the reference names it; `when`: `before` or `after` the training."""
    loaded = {
        f"adaptor.{kind}": torch.from_numpy(values[f"adaptor_{when}/layers.0fc.{kind}"]) for kind in ("weight", "bias")
    }
    prefix = f"discriminator_{when}/"
    for key in (key for key in values if key.startswith(prefix)):
        layer, kind = key[len(prefix) :].rsplit(".", 1)
        loaded[f"discriminator.{GLASS_NAMES[layer]}.{kind}"] = torch.from_numpy(np.asarray(values[key]))
    return loaded
