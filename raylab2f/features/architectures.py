"""timm's models by name, untrained: the shape into which weights are put."""

from __future__ import annotations

import difflib
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from raylab2f.errors import UserError

__all__ = ["pretrained_config", "untrained_network"]


def untrained_network(name: str, seed: int = 0) -> nn.Module:
    """The timm model `name` in evaluation mode, with random weights that `seed` determines.

    Arguments:
        name: architecture, perhaps with the tag of its pretrained weights: `wide_resnet50_2.tv_in1k`.

    Raises:
        UserError: timm knows no such architecture or tag.
    """
    import timm  # takes a second

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=3)
        raise UserError(f"--backbone {name}: timm has no such model; {_choose(near)}.")
    # Untouched by what the caller draws, and not touching it.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            network: nn.Module = timm.create_model(name, pretrained=False)
            if hasattr(network, "num_prefix_tokens"):
                # A transformer of tokens takes pictures of one size only, unless it is told to take any.
                with suppress(TypeError):
                    torch.manual_seed(seed)
                    network = timm.create_model(name, pretrained=False, dynamic_img_size=True)
        except RuntimeError as error:
            if not tag:
                raise
            tagged = timm.list_models(f"{architecture}.*", pretrained=True)
            raise UserError(f"--backbone {name}: timm knows no weights {tag} of it; {_choose(tagged)}.") from error
    return network.eval()


def pretrained_config(network: nn.Module) -> dict[str, Any]:
    """What timm knows of a model's pretrained weights: `input_size` (C, H, W), `mean`, `std`, `hf_hub_id`, `url`."""
    config: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]  # set by timm on every model
    return config


def _choose(names: list[str]) -> str:
    return f"choose {' or '.join(names)}" if names else "see timm.list_models() for those it has"
