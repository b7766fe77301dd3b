"""How a picture was saved, and whether that alone tells classes or given splits apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from raylab2f.datasets.probing import Probed
from raylab2f.pitfalls import Caution

__all__ = ["file_kind_warnings"]

# Balanced accuracy of the best rule, and what it needs not to be chance.
_TOLD_APART = 0.9
_FEWEST = 5
_MOST_VALUES = 8


def file_kind_warnings(usable: Sequence[Probed]) -> Iterator[Caution]:
    """RL221: defective and good pictures, or good ones of the two given splits, that were saved differently.

    What of a camera or a program marks one class, a detector may take for the defect; the figures are too good then.
    """
    labels = np.array([item.entry.label == 1 for item in usable], dtype=bool)
    good = np.flatnonzero(~labels).tolist()
    in_test = np.array([usable[row].entry.given_split == "test" for row in good], dtype=bool)
    for what, values in (
        ("in their files", [item.kind for item in usable]),
        ("in size", [f"{item.entry.width} x {item.entry.height} pixels" for item in usable]),
    ):
        if (share := _told_apart(values, labels)) is not None:
            yield Caution(
                "RL221",
                f"Defective and good pictures differ {what} ({_commonest(values, labels)}, against "
                f"{_commonest(values, ~labels)}), which tells {share:.0%} of them apart without a look at the part; a "
                "detector may do the same. Take, resize and save all pictures in one way.",
            )
            continue
        of_good = [values[row] for row in good]
        if _told_apart(of_good, in_test) is not None:
            yield Caution(
                "RL221",
                f"Good pictures given for test and for training differ {what} ({_commonest(of_good, in_test)}, against "
                f"{_commonest(of_good, ~in_test)}). Defective pictures come from the test side, so a detector that is "
                "also judged on good training pictures may take the difference for the defect: give "
                "--merge-nominal-test no, or take, resize and save all pictures in one way.",
            )


def _told_apart(values: Sequence[str], target: np.ndarray) -> float | None:
    """Balanced accuracy of the best rule from value to target, if it is high and no chance; else `None`."""
    if len(set(values)) > _MOST_VALUES or min(target.sum(), (~target).sum()) < _FEWEST:
        return None
    named = np.array(values)
    rates = [(np.mean(named[target] == value), np.mean(named[~target] == value)) for value in set(values)]
    accuracy = float(sum(max(pair) for pair in rates)) / 2
    return accuracy if accuracy >= _TOLD_APART else None


def _commonest(values: Sequence[str], rows: np.ndarray) -> str:
    counts = Counter(values[row] for row in np.flatnonzero(rows).tolist())
    # Of equally many the first by name, whatever the order of the pictures.
    return min(counts, key=lambda value: (-counts[value], value))
