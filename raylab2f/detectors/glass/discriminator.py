"""The two small networks that GLASS trains."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LEAKY_SLOPE", "Discriminator", "feature_adaptor"]

LEAKY_SLOPE = 0.2


def feature_adaptor(length: int, generator: torch.Generator) -> nn.Linear:
    """The feature adaptor: one linear layer, so the adapted mean is the mean of the adapted."""
    adaptor = nn.Linear(length, length)
    _initialise(adaptor, generator)
    return adaptor


class Discriminator(nn.Module):
    """Patch features to the probability of being anomalous: linear, batch norm, leaky ReLU, linear, sigmoid.

    Arguments:
        length: of a patch feature.
        hidden: width.
        generator: draws the initial parameters.
    """

    def __init__(self, length: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = nn.Linear(length, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.activation = nn.LeakyReLU(LEAKY_SLOPE)
        self.tail = nn.Linear(hidden, 1, bias=False)
        for layer in (self.hidden, self.tail):
            _initialise(layer, generator)

    def forward(self, features: Tensor) -> Tensor:
        """(N, length) adapted features to (N,) in (0, 1)."""
        return self.judge(self.hidden(features))

    def judge(self, hidden: Tensor) -> Tensor:
        """The rest of `forward` from the hidden layer's outputs, (N, hidden)."""
        return torch.sigmoid(self.tail(self.activation(self.norm(hidden))))[:, 0]

    def adapt_and_hide(self, adaptor: nn.Linear, features: Tensor) -> Tensor:
        """`hidden(adaptor(features))` of (N, length) features in one product instead of two: W (A x + a) + b."""
        weight, bias = self.hidden.weight, self.hidden.bias
        return functional.linear(features, weight @ adaptor.weight, weight @ adaptor.bias + bias)


@torch.no_grad()
def _initialise(layer: nn.Linear, generator: torch.Generator) -> None:
    """Xavier's normal distribution for weights, torch's default uniform one for biases."""
    nn.init.xavier_normal_(layer.weight, generator=generator)
    if layer.bias is not None:
        bound = layer.in_features**-0.5
        layer.bias.uniform_(-bound, bound, generator=generator)
