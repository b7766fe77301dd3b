"""In which floating-point type a training multiplies.

| precision | matrix products and convolutions of a training |
|---|---|
| `float32` | as exact as float32, on any device |
| `tf32` | operands rounded to 10 bits, sums in float32, on GPUs that can (NVIDIA's since Ampere); elsewhere float32 |
| `bfloat16` | operands rounded to 7 bits, sums in float32, on any device; log-determinants and losses stay float32 |

Parameters, their optimisers and everything else stay float32. Features are extracted and pictures are scored in float32
whatever trained, so that neither the cache nor the scores of a finished model depend on the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from raylab2f.errors import UserError

__all__ = ["PRECISIONS", "active_precision", "check_precision", "precision_of", "products_in"]

PRECISIONS = ("float32", "tf32", "bfloat16")
# Compute capability of Ampere, the first with units for it.
_FIRST_WITH_TF32 = (8, 0)


def check_precision(text: str) -> None:
    """`UserError` unless `text` is one of `PRECISIONS`."""
    if text not in PRECISIONS:
        raise UserError(f"--set precision={text}: choose one of {', '.join(PRECISIONS)}.")


def precision_of(config: Any) -> str:
    """In which a detector of this configuration trains; `float32` where it has no such setting."""
    precision: str = getattr(config, "precision", "float32")
    return precision


def active_precision(precision: str, device: torch.device) -> str:
    """What `precision` comes to on a device: `tf32` is `float32` where there are no units for it."""
    if precision != "tf32":
        return precision
    able = device.type == "cuda" and torch.cuda.get_device_capability(device) >= _FIRST_WITH_TF32
    return "tf32" if able else "float32"


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Inside the block, a GPU may round the operands of float32 products and convolutions to TF32, or, with `float32`,
    may not: torch's own default is that convolutions may. Blocks of `bfloat16` are `torch.autocast`'s matter.
    """
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32 = products.allow_tf32 = precision != "float32"
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before
