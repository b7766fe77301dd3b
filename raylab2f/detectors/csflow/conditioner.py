"""The networks that tell a coupling how to scale and shift: convolutions within and between three scales."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CrossScaleConditioner"]

_SLOPE = 0.1


class CrossScaleConditioner(nn.Module):
    """Two convolutions per scale, between which neighbouring scales exchange what they saw.

    References:
        Rudolph, Wehrbein, Rosenhahn, Wandt: Fully Convolutional Cross-Scale-Flows for Image-based Defect Detection,
        WACV 2022, section 3.2 and Figure 3.

    Arguments:
        channels_in: of each of the three inputs.
        channels_out: of each of the three outputs.
        channels_hidden: between the convolutions.
        kernel_size: odd.
    """

    def __init__(self, channels_in: int, channels_out: int, channels_hidden: int, kernel_size: int) -> None:
        super().__init__()

        def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, stride=stride)

        for scale in range(3):
            self.add_module(f"conv_scale{scale}_0", convolution(channels_in, channels_hidden))
            self.add_module(f"conv_scale{scale}_1", convolution(channels_hidden, channels_out))
            self.register_parameter(f"gamma{scale}", nn.Parameter(torch.zeros(1)))
        self.up_conv10 = convolution(channels_hidden, channels_out)
        self.up_conv21 = convolution(channels_hidden, channels_out)
        self.down_conv01 = convolution(channels_hidden, channels_out, stride=2)
        self.down_conv12 = convolution(channels_hidden, channels_out, stride=2)

    def forward(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Three (N, channels_in, H / 2^s, W / 2^s) maps, finest first, to three with channels_out."""
        hidden = [
            functional.leaky_relu(self.get_submodule(f"conv_scale{scale}_0")(x[scale]), _SLOPE, inplace=True)
            for scale in range(3)
        ]
        out = [self.get_submodule(f"conv_scale{scale}_1")(hidden[scale]) for scale in range(3)]
        out[0] = out[0] + self.up_conv10(_double(hidden[1]))
        out[1] = out[1] + self.down_conv01(hidden[0]) + self.up_conv21(_double(hidden[2]))
        out[2] = out[2] + self.down_conv12(hidden[1])
        return [value * self.get_parameter(f"gamma{scale}") for scale, value in enumerate(out)]


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
