"""Whether a training learned something: what its losses and anomaly maps say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raylab2f.pitfalls import Caution

__all__ = ["learning_cautions"]

# A loss that falls by less than this share of its first value over at least so many epochs has not fallen.
_FALL = 0.01
_EPOCHS_TO_FALL = 3
# A rise from the second third of the epochs to the last counts from this share of all that the loss moved.
_RISE = 0.1
# Fewer epochs have no thirds to compare.
_LEAST_EPOCHS = 6
# Maps whose values differ by less, relative to their size, are the same everywhere.
_CONSTANT = 1e-5


def learning_cautions(records: Sequence[Mapping[str, Any]]) -> list[Caution]:
    """What is said (RL315) of folds that did not learn, from their `fold.json`: a sentence for each sign of it."""
    found = []
    for shows, sign, mend in (
        (_stays, "ended with a loss no lower than it began with", "train longer (--epochs), or faster (--set)"),
        (_rises, "ended with a loss that rose over the last third of the epochs", "lower the learning rate (--set)"),
        (_is_constant, "gave anomaly maps that are the same everywhere", "check the pictures, --layers and --size"),
    ):
        folds = [record["fold"] for record in records if shows(record)]
        if folds:
            listed = f"fold {folds[0]}" if len(folds) == 1 else f"folds {', '.join(map(str, folds))}"
            found.append(Caution("RL315", f"The training of {listed} {sign}; {mend}."))
    return found


def _losses(record: Mapping[str, Any]) -> np.ndarray:
    return np.array([epoch["loss"] for epoch in record.get("history", ())], float)


def _stays(record: Mapping[str, Any]) -> bool:
    losses = _losses(record)
    return len(losses) >= _EPOCHS_TO_FALL and bool(losses[-1] > losses[0] - _FALL * abs(losses[0]))


def _rises(record: Mapping[str, Any]) -> bool:
    losses = _losses(record)
    if len(losses) < _LEAST_EPOCHS:
        return False
    third = len(losses) // 3
    before, last = losses[-2 * third : -third].mean(), losses[-third:].mean()
    return bool(last - before > _RISE * np.ptp(losses))


def _is_constant(record: Mapping[str, Any]) -> bool:
    spread = record.get("map_spread")
    return spread is not None and spread < _CONSTANT
