"""Detectors that are fitted to the training partition at once, without steps of an optimiser."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from raylab2f.detectors.base import Batch, Detector, Schedule, Step
from raylab2f.errors import UserError

__all__ = ["NO_STEPS", "FittedDetector", "require_no_epochs"]

#: The schedule of such a detector; its batches are portions in which the training partition is looked at.
NO_STEPS = Schedule(epochs=0, batch_size=32)


class FittedDetector(Detector):
    """A detector that `begin` fits; no epoch follows."""

    def optimizers(self) -> Sequence[torch.optim.Optimizer]:
        """None."""
        return ()

    def forward(self, batch: Batch, step: Step) -> Tensor:
        """There is no training loss.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"{self.name} is fitted by begin, it has no training loss")


def require_no_epochs(schedule: Schedule) -> None:
    """`UserError` where epochs are asked for of a detector that has none."""
    if schedule.epochs:
        raise UserError(f"--epochs {schedule.epochs}: this detector is fitted at once, without epochs; leave it out.")
