"""How a picture was saved, and whether that alone tells classes or given splits apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from raylab2f.datasets.probing import Probed
from raylab2f.pitfalls import Caution

__all__ = ["file_kind_warnings"]

# Balanced accuracy of the best rule, and what it needs not to be chance: parts on either side, parts of a value that
# stands for itself, and values.
_TOLD_APART = 0.9
_FEWEST = 5
_MOST_VALUES = 8


def file_kind_warnings(usable: Sequence[Probed]) -> Iterator[Caution]:
    """RL221: defective and good pictures, or good ones of the two given splits, that were saved differently.

    What of a camera or a program marks one class, a detector may take for the defect; the figures are too good then.
    Where good pictures given for test look like the defective ones, it is the splits that differ, not the classes.
    """
    defective = np.array([item.entry.label == 1 for item in usable], dtype=bool)
    in_test = np.array([item.entry.given_split == "test" for item in usable], dtype=bool)
    parts = [item.entry.object_id or item.entry.image_id for item in usable]
    for what, values in (
        ("in their files", [item.kind for item in usable]),
        ("in size", [f"{item.entry.width} x {item.entry.height} pixels" for item in usable]),
    ):
        named = np.array(_without_rare(values, parts))
        classes = _told_apart(named, defective)
        splits = _told_apart(named[~defective], in_test[~defective])
        if splits is not None and (classes is None or _told_apart(named[in_test], defective[in_test]) is None):
            yield Caution(
                "RL221",
                f"Good pictures given for test and for training differ {what} ("
                f"{_commonest(values, ~defective & in_test)}, against {_commonest(values, ~defective & ~in_test)}). "
                "Defective pictures come from the test side, so a detector that is also judged on good training "
                "pictures may take the difference for the defect: give --merge-nominal-test no, or take, resize and "
                "save all pictures in one way.",
            )
        elif classes is not None:
            yield Caution(
                "RL221",
                f"Defective and good pictures differ {what} ({_commonest(values, defective)}, against "
                f"{_commonest(values, ~defective)}), which tells {classes:.0%} of them apart without a look at the "
                "part; a detector may do the same. Take, resize and save all pictures in one way.",
            )


def _without_rare(values: Sequence[str], parts: Sequence[str]) -> list[str]:
    """The values, but those of few parts are one: such a value says which part it is, not of which class it is."""
    of: dict[str, set[str]] = {}
    for value, part in zip(values, parts, strict=True):
        of.setdefault(value, set()).add(part)
    return [value if len(of[value]) >= _FEWEST else "" for value in values]


def _told_apart(values: NDArray[np.str_], target: NDArray[np.bool_]) -> float | None:
    """Balanced accuracy of the best rule from value to target, if it is high and no chance; else `None`."""
    known = np.unique(values)
    if len(known) > _MOST_VALUES or min(target.sum(), (~target).sum()) < _FEWEST:
        return None
    rates = [(np.mean(values[target] == value), np.mean(values[~target] == value)) for value in known]
    accuracy = float(sum(max(pair) for pair in rates)) / 2
    return accuracy if accuracy >= _TOLD_APART else None


def _commonest(values: Sequence[str], rows: NDArray[np.bool_]) -> str:
    counts = Counter(values[row] for row in np.flatnonzero(rows).tolist())
    # Of equally many the first by name, whatever the order of the pictures.
    return min(counts, key=lambda value: (-counts[value], value))
