"""Find out in which order a network's modules run, and cut it off behind the deepest one that is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from raylab2f.errors import UserError

__all__ = ["ModuleRun", "check_layers", "cut_behind", "meta_run", "token_grid", "trace"]


@dataclass
class ModuleRun:
    """When a module ran first, counted in starts and ends of modules, and on what.

    Arguments:
        started: position of its start.
        finished: position of its end; -1 while it runs.
        input: its first positional argument.
        output: what it returned.
        tokens: that the network makes of the picture, if it is a transformer of tokens.
    """

    started: int
    finished: int = -1
    input: Any = None
    output: Any = None
    tokens: int | None = None

    @property
    def layout(self) -> str | None:
        """`NCHW`, `NHWC` or, for tokens, `NLC` where the output is a map, else `None`.

        Known from maps of square pictures being square.
        """
        if not isinstance(self.output, Tensor):
            return None
        if self.output.ndim == 3 and self.output.shape[1] == self.tokens:
            return "NLC"
        if self.output.ndim != 4:
            return None
        _, first, middle, last = self.output.shape
        if middle == last:
            return "NCHW"
        return "NHWC" if first == middle else None


def trace(network: nn.Module, size: tuple[int, int]) -> dict[str, ModuleRun]:
    """Run the network once without computing anything, on a picture of `size`; a square one tells maps' layouts.

    Returns:
        The modules that ran, by name. Inputs and outputs are tensors without data; tensors that were one object in
        the network are one object here.
    """
    runs: dict[str, ModuleRun] = {}
    moment = 0
    grid = token_grid(network, size)
    tokens = None if grid is None else grid[0] + grid[1] * grid[2]

    def start(name: str, inputs: Sequence[Any]) -> None:
        nonlocal moment
        moment += 1
        if name not in runs:
            runs[name] = ModuleRun(moment, input=inputs[0] if inputs else None, tokens=tokens)

    def finish(name: str, output: Any) -> None:
        nonlocal moment
        moment += 1
        if runs[name].finished < 0:
            runs[name].finished = moment
            runs[name].output = output

    handles = []
    for name, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(lambda _, inputs, name=name: start(name, inputs)))
        handles.append(module.register_forward_hook(lambda _, __, output, name=name: finish(name, output)))
    try:
        meta_run(network, size)
    finally:
        for handle in handles:
            handle.remove()
    return runs


def token_grid(network: nn.Module, size: tuple[int, int]) -> tuple[int, int, int] | None:
    """How a vision transformer of timm's cuts a picture of `size` up; `None`: the network is none.

    Returns:
        Tokens before those of the patches (class, registers), rows and columns of patches.
    """
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    prefix = getattr(network, "num_prefix_tokens", None)
    if prefix is None or not isinstance(patch, tuple):
        return None
    return prefix, size[0] // patch[0], size[1] // patch[1]


def meta_run(network: nn.Module, size: tuple[int, int]) -> Any:
    """What the network returns for one picture of `size`, as tensors with shapes but without data."""
    weights = dict(network.named_parameters()) | dict(network.named_buffers())
    with torch.no_grad():
        return functional_call(
            network,
            {name: tensor.to("meta") for name, tensor in weights.items()},
            (torch.empty(1, 3, *size, device="meta", dtype=next(iter(weights.values())).dtype),),
        )


def check_layers(name: str, layers: Sequence[str], network: nn.Module, runs: Mapping[str, ModuleRun]) -> None:
    """Refuse layers that the network has not, that do not run, or whose output is no map.

    Raises:
        UserError: listing the modules that can be chosen.
    """
    if not layers or len(set(layers)) < len(layers):
        raise UserError(f"--layers {','.join(layers)}: name one or more different modules of {name}.")
    for layer in layers:
        run = runs.get(layer)
        if run is None or run.layout is None:
            trouble = "is no module that runs" if run is None else "gives no map (channels, height, width)"
            choices = [choice for choice in _top_level(network) if choice in runs and runs[choice].layout]
            advice = f"choose among {', '.join(choices)}" if choices else "choose another --backbone"
            raise UserError(f"--layers {layer} {trouble} in {name}; {advice}.")


def cut_behind(network: nn.Module, layer: str, runs: Mapping[str, ModuleRun]) -> None:
    """Drop every module that runs later than `layer` only; the network still has to be stopped there."""
    _drop_later(network, "", runs, runs[layer].finished)


def _drop_later(module: nn.Module, path: str, runs: Mapping[str, ModuleRun], end: int) -> None:
    for name, child in list(module.named_children()):
        child_path = f"{path}{name}"
        below = [run for key, run in runs.items() if key == child_path or key.startswith(child_path + ".")]
        own = runs.get(child_path)
        if not any(run.started < end for run in below):
            # A tuple of modules may be indexed, so its places stay.
            setattr(module, name, nn.Identity())
        elif own is None or own.finished > end:
            # Still running, or a mere container: some of its parts may come later. What has finished stays whole, for
            # it may use parts without running them.
            _drop_later(child, child_path + ".", runs, end)


def _top_level(network: nn.Module) -> list[str]:
    """Names of the network's modules, of containers' members instead of the containers."""
    names = []
    for name, child in network.named_children():
        if isinstance(child, (nn.Sequential, nn.ModuleList)) and len(child):
            names += [f"{name}.{member}" for member, _ in child.named_children()]
        else:
            names.append(name)
    return names
