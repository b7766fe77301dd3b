"""What segmenters share: the foreground of one picture, and why there may be none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["NothingDetectedError", "Segment", "Segmenter"]


class NothingDetectedError(Exception):
    """A picture in which no object was found; the message says why."""


@dataclass(frozen=True)
class Segment:
    """The foreground of one picture.

    Arguments:
        mask: (H, W), true where the object is; never empty.
        score: how sure the method is, in [0, 1], where it tells; else `None`.
        note: what a person should know, such as that there were several objects.
    """

    mask: NDArray[np.bool_]
    score: float | None = None
    note: str | None = None


class Segmenter(Protocol):
    """Anything that finds the object in a (H, W, 3) RGB picture.

    Raises:
        NothingDetectedError: it found none.
    """

    def __call__(self, picture: NDArray[np.uint8]) -> Segment: ...
