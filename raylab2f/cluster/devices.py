"""Where a process on a cluster computes."""

from __future__ import annotations

import torch

__all__ = ["device_for"]


def device_for(gpus: float) -> torch.device:
    """The device of a process to which Ray gave so many GPUs.

    A GPU that is to be seen but was not given may be somebody else's: not every cluster hides those.
    """
    return torch.device("cuda" if gpus and torch.cuda.is_available() else "cpu")
