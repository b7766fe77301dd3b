"""What is measured of a fold beside its scores: memory, and whether a picture's score depends on its neighbours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from raylab2f.pitfalls import Caution

__all__ = ["BATCH_TOLERANCE", "batch_cautions", "batch_dependence", "begin_memory", "peak_memory"]

#: Of the range of the scores; by which those of one picture may differ, alone and among others, for sums are formed in
#: another order.
BATCH_TOLERANCE = 1e-3
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_ALONE = 4


def begin_memory(device: torch.device) -> None:
    """From here on `peak_memory` counts; a process may train one fold after another."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    # Where the system has no such file, or does not let it be written, the peak is the process's.
    with suppress(OSError):
        _CLEAR.write_text("5")


def peak_memory(device: torch.device) -> dict[str, int]:
    """Bytes: `process`, the most that lay in this process's memory, and on a GPU `gpu`; where they can be known."""
    peak = {"gpu": torch.cuda.max_memory_allocated(device)} if device.type == "cuda" else {}
    with suppress(OSError):
        if found := re.search(r"^VmHWM:\s*(\d+) kB", _STATUS.read_text(), re.MULTILINE):
            peak["process"] = int(found[1]) << 10
    return peak


def batch_dependence(scores: NDArray[np.float32], score_alone: Callable[[int], float]) -> float:
    """By how much a picture's score among others differs from its score alone, as a share of the scores' range.

    A score that depends on which pictures are judged with it is no property of the picture.

    Arguments:
        scores: (n,) of a batch.
        score_alone: a picture's score in a batch of its own, by its place in `scores`.

    Returns:
        The largest over some pictures; 0 for a single picture.
    """
    if len(scores) < 2:
        return 0.0
    places = np.unique(np.linspace(0, len(scores) - 1, _ALONE).round().astype(int))
    apart = max(abs(float(scores[place]) - score_alone(int(place))) for place in places)
    return apart / max(float(np.ptp(scores)), 1e-30) if apart else 0.0


def batch_cautions(records: Sequence[Mapping[str, Any]]) -> list[Caution]:
    """What is said (RL316) of folds whose scores depend on the batch, from their `fold.json`."""
    apart = {record["fold"]: record.get("batch_dependence") or 0.0 for record in records}
    folds = [fold for fold, share in apart.items() if share > BATCH_TOLERANCE]
    if not folds:
        return []
    most = max(apart.values())
    differs = f"{most:.1f} times" if most >= 1 else f"{most:.1%} of"
    listed = f"fold {folds[0]}" if len(folds) == 1 else f"folds {', '.join(map(str, folds))}"
    return [
        Caution(
            "RL316",
            f"In {listed} a picture's score depends on which pictures are judged with it: alone it differs by up to "
            f"{differs} the scores' range; the figures hold for batches like these alone.",
        )
    ]
