"""The ascent on a GPU as one recorded graph of kernels.

A walk of five steps is a hundred small kernels, which the host takes longer to ask for than the device to compute.
"""

from __future__ import annotations

import copy
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from raylab2f.detectors.glass.climb import Climb

__all__ = ["walk_recorded"]

# Batches come in two sizes, the last of an epoch has its own. Every recording keeps its intermediate results.
_MOST = 2

#: By batch norm, for whose parameters a graph is recorded: recordings by what they depend on; `None`: seen once.
_recordings: WeakKeyDictionary[nn.Module, dict[tuple[object, ...], _Recording | None]] = WeakKeyDictionary()


def walk_recorded(climb: Climb, hidden: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """`climb.walk(hidden, steps)`, by the same kernels; what it returns holds until the next call.

    The first walk of a kind is taken as it comes, the second recorded, all others replayed. On a CPU, and where workers
    exchange their statistics in between, nothing is recorded.
    """
    if not hidden.is_cuda or climb.synchronised:
        return climb.walk(hidden, steps)
    known = _recordings.setdefault(climb.norm, {})
    kind = _kind(climb, hidden, steps)
    if kind not in known:
        if len(known) < _MOST:
            known[kind] = None
        return climb.walk(hidden, steps)
    recording = known[kind]
    if recording is None:
        recording = known[kind] = _Recording(climb, hidden, steps)
    return recording.replay(climb, hidden)


def _kind(climb: Climb, hidden: Tensor, steps: int) -> tuple[object, ...]:
    """What a recording depends on: sizes, settings, and where in memory the parameters are."""
    state = [*climb.norm.parameters(), *climb.norm.buffers(), climb.tail]
    tf32 = torch.backends.cuda.matmul.allow_tf32
    return (hidden.shape, hidden.dtype, climb.dtype, climb.rate, steps, tf32, *(value.data_ptr() for value in state))


class _Recording:
    """A walk with places of its own for what changes from one to the next."""

    def __init__(self, climb: Climb, hidden: Tensor, steps: int) -> None:
        self.inputs = [value.clone() for value in _inputs(climb, hidden)]
        # Nothing here holds the batch norm: with it goes the recording.
        own = copy.copy(climb)
        own.mean, own.squares, own.gram, own.rows, hidden = self.inputs
        self.graph = torch.cuda.CUDAGraph()
        # Other threads prepare the next batch meanwhile.
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.walked = own.walk(hidden, steps)

    def replay(self, climb: Climb, hidden: Tensor) -> tuple[Tensor, Tensor]:
        for own, value in zip(self.inputs, _inputs(climb, hidden), strict=True):
            own.copy_(value)
        self.graph.replay()
        return self.walked


def _inputs(climb: Climb, hidden: Tensor) -> list[Tensor]:
    return [climb.mean, climb.squares, climb.gram, climb.rows, hidden]
