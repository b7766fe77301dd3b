"""Networks of other libraries, with the weights that `--weights` names in place of those that timm would fetch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import timm
from torch import nn

from raylab2f.features.architectures import pretrained_config, untrained_network
from raylab2f.features.weights import Normalisation, Weights, install_weights, read_weights, require_reachable

__all__ = ["weights_from"]


@contextmanager
def weights_from(backbone: str, weights: str) -> Iterator[Callable[[], Normalisation | None]]:
    """Inside the block `timm.create_model` builds a pretrained `backbone` with these weights and without a network.

    Models name a backbone, and build it themselves; timm has no other place where weights could be put in. Other
    models than `backbone` are built as timm would, but fail at once where the hub is out of reach.

    Arguments:
        backbone: timm model.
        weights: `bundled`, a file, or `hub`, which is what timm does.

    Yields:
        A function that says for which normalisation the weights that were put in were trained; `None`: none were.

    Raises:
        UserError: the weights cannot be had, or do not fit.
    """
    original, used = timm.create_model, []
    found: list[Weights] = []

    def create(model_name: str, pretrained: bool = False, **options: Any) -> nn.Module:
        made: nn.Module
        if not pretrained or model_name != backbone or weights == "hub":
            if pretrained:
                require_reachable(pretrained_config(original(model_name, pretrained=False)))
            made = original(model_name, pretrained=pretrained, **options)
            return made
        made = original(model_name, pretrained=False, **options)
        if not found:
            found.append(read_weights(backbone, weights, untrained_network(backbone)))
        _install(made, found[0], options)
        used.append(found[0].normalisation)
        return made

    timm.create_model = create  # type: ignore[assignment]  # nothing else is asked for
    try:
        yield lambda: used[0] if used else None
    finally:
        timm.create_model = original


def _install(network: nn.Module, weights: Weights, options: dict[str, Any]) -> None:
    """Put weights into a whole network or into timm's wrapper of some of its levels, which renames modules."""
    if not options.get("features_only"):
        install_weights(network, weights, frozenset(weights.state))
        return
    # `blocks.2.0.conv.weight` is called `blocks.2.0...` or `blocks_2.0...`, as the wrapper flattens sequences or not.
    wanted = network.state_dict()
    names = {_flat(key): key for key in weights.state}
    state = {key: weights.state[names[_flat(key)]] for key in wanted if _flat(key) in names}
    install_weights(network, Weights(state, weights.normalisation, weights.origin), frozenset(state))


def _flat(key: str) -> str:
    return key.replace("_", ".")
