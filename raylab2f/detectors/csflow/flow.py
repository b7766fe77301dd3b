"""The cross-scale flow as a FrEIA graph over three tensors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from FrEIA.framework import GraphINN, InputNode, Node, OutputNode
from FrEIA.modules import InvertibleModule
from torch import Tensor

from raylab2f.detectors.csflow.conditioner import CrossScaleConditioner

__all__ = ["CrossScaleCoupling", "ScalePermutation", "cross_scale_flow"]

_OUTPUT_LIMIT = 1e6
Shape = tuple[int, int, int]


def cross_scale_flow(
    shapes: Sequence[Shape],
    *,
    hidden_channels: int,
    kernel_sizes: Sequence[int],
    clamp: float,
    generator: torch.Generator,
) -> GraphINN:
    """Alternate channel permutations and couplings, one pair per kernel size.

    Arguments:
        shapes: (C, H, W) of the three inputs, finest first, each half the size of the one before.
        hidden_channels: of the conditioners.
        kernel_sizes: one per coupling block.
        clamp: bound of the log scales, see `CrossScaleCoupling`.
        generator: draws permutations and initial parameters.
    """
    inputs = [InputNode(*shape, name=f"input{scale}") for scale, shape in enumerate(shapes)]
    nodes: list[Node] = list(inputs)
    ends = [node.out0 for node in inputs]
    for block, kernel_size in enumerate(kernel_sizes):
        for kind, arguments in (
            (ScalePermutation, {"generator": generator}),
            (
                CrossScaleCoupling,
                {
                    "hidden_channels": hidden_channels,
                    "kernel_size": kernel_size,
                    "clamp": clamp,
                    "generator": generator,
                },
            ),
        ):
            node = Node(ends, kind, arguments, name=f"block{block}_{kind.__name__}")
            nodes.append(node)
            ends = [node.out0, node.out1, node.out2]
    outputs = [OutputNode(end, name=f"output{scale}") for scale, end in enumerate(ends)]
    return GraphINN([*nodes, *outputs])


class ScalePermutation(InvertibleModule):
    """Permute the channels of each scale: output channel i is input channel `permutation{scale}[i]`.

    Arguments:
        dims_in: (C, H, W) of the three inputs.
        generator: draws the permutations, which are fixed from then on and part of the state.
    """

    def __init__(
        self, dims_in: Iterable[Shape], dims_c: Iterable[Shape] | None = None, *, generator: torch.Generator
    ) -> None:
        super().__init__(dims_in, dims_c)
        for scale, (channels, _, _) in enumerate(self.dims_in):
            self.register_buffer(f"permutation{scale}", torch.randperm(channels, generator=generator))

    def forward(
        self, x_or_z: Sequence[Tensor], c: Sequence[Tensor] | None = None, rev: bool = False, jac: bool = True
    ) -> tuple[list[Tensor], Tensor | float]:
        """Permuted (or, with `rev`, sorted back) maps; the log-determinant is 0."""
        permutations = [self.get_buffer(f"permutation{scale}") for scale in range(len(x_or_z))]
        if rev:
            permutations = [torch.argsort(permutation) for permutation in permutations]
        return [_permuted(x, permutation) for x, permutation in zip(x_or_z, permutations, strict=True)], 0.0

    def output_dims(self, input_dims: list[Shape]) -> list[Shape]:
        """The same as the inputs'."""
        return input_dims


class CrossScaleCoupling(InvertibleModule):
    """Affine coupling of three scales at once.

    The channels of each scale are halved in a and b. Conditioner `s2` reads b and returns a log scale and a shift for
    a; then `s1` reads the new a and returns those for b. Log scales s are bounded softly:
    clamp * 0.636 * atan(s / clamp), so that |log scale| < clamp.

    References:
        Rudolph et al., WACV 2022, section 3.2; the clamp: Ardizzone et al., "Guided Image Generation with
        Conditional Invertible Neural Networks", 2019, section 3.2.

    Arguments:
        dims_in: (C, H, W) of the three inputs.
        hidden_channels: of the conditioners.
        kernel_size: of the conditioners.
        clamp: bound of the log scales.
        generator: draws the conditioners' initial parameters.
    """

    def __init__(
        self,
        dims_in: Iterable[Shape],
        dims_c: Iterable[Shape] | None = None,
        *,
        hidden_channels: int,
        kernel_size: int,
        clamp: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__(dims_in, dims_c)
        channels = self.dims_in[0][0]
        self.clamp = clamp
        self.half = channels // 2
        rest = channels - self.half
        # s1 reads a (half channels) and speaks about b, s2 the other way round.
        self.s1 = CrossScaleConditioner(self.half, 2 * rest, hidden_channels, kernel_size)
        self.s2 = CrossScaleConditioner(rest, 2 * self.half, hidden_channels, kernel_size)
        for network in (self.s1, self.s2):
            _initialise(network, generator)

    def forward(
        self, x_or_z: Sequence[Tensor], c: Sequence[Tensor] | None = None, rev: bool = False, jac: bool = True
    ) -> tuple[list[Tensor], Tensor]:
        """Three maps of the shapes `dims_in` to three of the same, and the log-determinant (N,) over all scales."""
        a = [x[:, : self.half] for x in x_or_z]
        b = [x[:, self.half :] for x in x_or_z]
        if not rev:
            a, first = self._transform(a, self.s2(b), rev)
            b, second = self._transform(b, self.s1(a), rev)
        else:
            b, second = self._transform(b, self.s1(a), rev)
            a, first = self._transform(a, self.s2(b), rev)
        out = [torch.cat(pair, dim=1).clamp(-_OUTPUT_LIMIT, _OUTPUT_LIMIT) for pair in zip(a, b, strict=True)]
        return out, first + second

    def output_dims(self, input_dims: list[Shape]) -> list[Shape]:
        """The same as the inputs'."""
        return input_dims

    def _transform(self, halves: list[Tensor], said: list[Tensor], rev: bool) -> tuple[list[Tensor], Tensor]:
        out, log_determinant = [], halves[0].new_zeros(halves[0].shape[0])
        for x, told in zip(halves, said, strict=True):
            # What was computed in a shorter type is right as it is; scales and determinants shall agree beyond it.
            both = told.to(x.dtype)
            raw, shift = both[:, : x.shape[1]], both[:, x.shape[1] :]
            log_scale = (self.clamp * 0.636) * torch.atan(raw / self.clamp)
            if rev:
                out.append((x - shift) * torch.exp(-log_scale))
                log_determinant = log_determinant - log_scale.sum(dim=(1, 2, 3))
            else:
                out.append(x * torch.exp(log_scale) + shift)
                log_determinant = log_determinant + log_scale.sum(dim=(1, 2, 3))
        return out, log_determinant


def _permuted(x: Tensor, permutation: Tensor) -> Tensor:
    if x.is_cuda:
        # Channels stay last, and the gradient is a plain sum instead of a sort.
        return x.movedim(1, -1).index_select(-1, permutation).movedim(-1, 1)
    return x[:, permutation]


def _initialise(network: CrossScaleConditioner, generator: torch.Generator) -> None:
    """torch's default distributions for convolutions, drawn from our generator."""
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            bound = (module.in_channels * module.kernel_size[0] * module.kernel_size[1]) ** -0.5
            for parameter in (module.weight, module.bias):
                assert parameter is not None
                with torch.no_grad():
                    parameter.uniform_(-bound, bound, generator=generator)
