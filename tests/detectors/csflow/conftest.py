"""Small flows with parameters that matter (fresh ones only permute), and the flow written down a second time."""

import pytest
import torch
from torch.nn import functional

from raylab2f.detectors.csflow import CSFlow, CSFlowConfig


@pytest.fixture
def make_detector():
    """make_detector(channels=4, size=(8, 8), hidden=6) -> a float64 detector whose every parameter was disturbed."""

    def make(channels=4, size=(8, 8), hidden=6, kernel_sizes=(3, 3, 3, 5), seed=0):
        shapes = [(channels, size[0] >> scale, size[1] >> scale) for scale in range(3)]
        config = CSFlowConfig(hidden_channels=hidden, kernel_sizes=kernel_sizes, init_seed=seed)
        detector = CSFlow(config, shapes).double()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in detector.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        return detector

    return make


@pytest.fixture
def make_features():
    """make_features(count, channels, size) -> three float64 maps, finest first."""

    def make(count=3, channels=4, size=(8, 8), seed=1):
        generator = torch.Generator().manual_seed(seed)
        return [
            torch.randn(count, channels, size[0] >> s, size[1] >> s, generator=generator, dtype=torch.float64)
            for s in range(3)
        ]

    return make


@pytest.fixture
def plain_flow():
    """The cross-scale flow straight from its formulas: plain_flow(features, state, kernel_sizes, clamp)."""
    return _plain_flow


def _plain_flow(features, state, kernel_sizes, clamp):
    """Latent maps and log-determinants (B,) of a flow with the parameters `state`, as in `CSFlow.state_dict()`."""
    maps, log_determinant = list(features), 0.0
    for block, kernel_size in enumerate(kernel_sizes):
        mix, couple = (f"flow.module_list.{2 * block + part}" for part in (0, 1))
        maps = [x[:, state[f"{mix}.permutation{scale}"]] for scale, x in enumerate(maps)]
        half = maps[0].shape[1] // 2
        a, b = [x[:, :half] for x in maps], [x[:, half:] for x in maps]
        a, first = _affine(a, _conditioner(b, state, f"{couple}.s2", kernel_size), clamp)
        b, second = _affine(b, _conditioner(a, state, f"{couple}.s1", kernel_size), clamp)
        maps = [torch.cat(pair, dim=1) for pair in zip(a, b, strict=True)]
        log_determinant = log_determinant + first + second
    return maps, log_determinant


def _affine(halves, said, clamp):
    out, total = [], 0.0
    for x, both in zip(halves, said, strict=True):
        raw, shift = both.split(x.shape[1], dim=1)
        log_scale = clamp * 0.636 * torch.atan(raw / clamp)
        out.append(x * log_scale.exp() + shift)
        total = total + log_scale.flatten(1).sum(dim=1)
    return out, total


def _conditioner(maps, state, name, kernel_size):
    def convolve(layer, x, stride=1):
        weight, bias = state[f"{name}.{layer}.weight"], state[f"{name}.{layer}.bias"]
        return functional.conv2d(x, weight, bias, stride=stride, padding=kernel_size // 2)

    def double(x):
        return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    fine, middle, coarse = (
        functional.leaky_relu(convolve(f"conv_scale{scale}_0", x), 0.1) for scale, x in enumerate(maps)
    )
    said = [
        convolve("conv_scale0_1", fine) + convolve("up_conv10", double(middle)),
        convolve("conv_scale1_1", middle) + convolve("down_conv01", fine, 2) + convolve("up_conv21", double(coarse)),
        convolve("conv_scale2_1", coarse) + convolve("down_conv12", middle, 2),
    ]
    return [value * state[f"{name}.gamma{scale}"] for scale, value in enumerate(said)]
