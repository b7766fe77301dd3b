"""Fold batch norms into the convolutions in front of them: same values, less to compute."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from raylab2f.features.truncation import ModuleRun

__all__ = ["fold_batch_norms"]


def fold_batch_norms(network: nn.Module, runs: Mapping[str, ModuleRun], keep: Collection[str]) -> None:
    """Fold in place; the network must stay in evaluation mode afterwards.

    A batch norm is folded if the module registered before it is a plain convolution whose very output it reads.

    Arguments:
        runs: of this network, see `trace`.
        keep: names of modules whose outputs must not change.
    """
    for path, module in list(network.named_modules()):
        prefix = f"{path}." if path else ""
        for (conv_name, conv), (norm_name, norm) in pairwise(list(module.named_children())):
            conv_run, norm_run = runs.get(prefix + conv_name), runs.get(prefix + norm_name)
            follows = conv_run is not None and norm_run is not None and norm_run.input is conv_run.output
            if follows and prefix + conv_name not in keep and _is_plain(conv, norm) and norm.running_var is not None:
                dtype = conv.weight.dtype
                setattr(module, conv_name, fuse_conv_bn_eval(conv.double(), norm.double()).to(dtype))
                setattr(module, norm_name, _rest(norm).to(dtype))


def _is_plain(conv: nn.Module, norm: nn.Module) -> bool:
    from timm.layers.conv2d_same import Conv2dSame
    from timm.layers.norm_act import BatchNormAct2d

    # Exact types: some convolutions standardise their weights at each call.
    return type(conv) in (nn.Conv2d, Conv2dSame) and type(norm) in (nn.BatchNorm2d, BatchNormAct2d)


def _rest(norm: nn.Module) -> nn.Module:
    """What timm's batch norms do besides normalising."""
    parts = [part for part in (getattr(norm, "drop", None), getattr(norm, "act", None)) if part is not None]
    parts = [part for part in parts if not isinstance(part, nn.Identity)]
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)
