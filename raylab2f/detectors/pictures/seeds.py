"""Code of others that draws from global generators, given a seed all the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["global_seeds"]


@contextmanager
def global_seeds(seed: int) -> Iterator[None]:
    """Inside the block, what is drawn from Python's, numpy's and torch's global generators descends from `seed`.

    Afterwards these go on as if nothing had been drawn; those of GPUs stay as the block left them.
    """
    python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # the global one is what is meant
    try:
        with torch.random.fork_rng(devices=[]):
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(of_numpy)  # noqa: NPY002
