"""Conformal p-values of a stream: the rank of each new value among the reference and all that came before it.

Vovk, Nouretdinov & Gammerman, "Testing Exchangeability On-Line", ICML 2003; Vovk, "Testing Randomness Online",
Statistical Science 36 (2021). If the reference and the stream are exchangeable, the smoothed p-values are independent
and uniform on (0, 1), exactly and for every size of the reference, for the bag in which a value is ranked grows with
the stream. They depend on the order of the values alone, so an increasing transformation of all of them changes none.

Example:
    >>> import numpy as np
    >>> p = conformal_p_values(np.array([1.0, 2.0, 3.0]), np.array([9.0, 0.0]), np.array([0.5, 0.5]))
    >>> p.tolist()
    [0.125, 0.9]
"""

from __future__ import annotations

import numpy as np

__all__ = ["conformal_p_values"]

# Blocks of so many values are compared all with all.
_BLOCK = 16


def conformal_p_values(reference: np.ndarray, stream: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Smoothed conformal p-values; small where a value is high.

    `p_n = (G_n + u_n E_n) / (m + n)`: of the m reference values and the first n of the stream, G_n are greater than the
    n-th of the stream, and E_n equal to it, itself included.

    Arguments:
        reference: (m,) finite values.
        stream: (n,) finite values in order of arrival.
        uniform: (n,) independent draws from the uniform distribution on [0, 1), which break ties.

    Returns:
        (n,) p-values in [0, 1]. Time and memory grow as n log n.
    """
    ordered = np.sort(reference)
    greater = len(ordered) - np.searchsorted(ordered, stream, side="right")
    equal = len(ordered) - greater - np.searchsorted(ordered, stream, side="left")
    below, not_above = _earlier(stream)
    before = np.arange(len(stream))
    return (greater + before - not_above + uniform * (equal + not_above - below + 1)) / (len(ordered) + before + 1)


def _earlier(stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n,) how many earlier values are below each value, and (n,) how many are not above it.

    Blocks are joined two by two as in a merge sort: each value of the later one is looked up in the sorted earlier one.
    """
    count = len(stream)
    rank = np.unique(stream, return_inverse=True)[1].reshape(-1).astype(np.int64)
    blocks = max(1, -(-count // _BLOCK))
    width = 1 << (blocks - 1).bit_length()
    # What fills the last blocks is above all, and comes last.
    padded = np.full(width * _BLOCK, count, dtype=np.int64)
    padded[:count] = rank
    tiles = padded.reshape(width, _BLOCK)
    below, not_above = np.zeros_like(padded), np.zeros_like(padded)
    for place in range(1, _BLOCK):
        below[place::_BLOCK] = (tiles[:, :place] < tiles[:, place, None]).sum(axis=1)
        not_above[place::_BLOCK] = (tiles[:, :place] <= tiles[:, place, None]).sum(axis=1)
    size = _BLOCK
    while size < count:
        pairs = padded.reshape(-1, 2, size)
        # Pairs are kept apart by a step that is longer than all ranks, so that one search serves all of them.
        step = (count + 1) * np.arange(len(pairs))[:, None]
        earlier = np.sort(pairs[:, 0] + step, axis=1).reshape(-1)
        later = (pairs[:, 1] + step).reshape(-1)
        start = np.repeat(size * np.arange(len(pairs)), size)
        for counts, side in ((below, "left"), (not_above, "right")):
            found = np.searchsorted(earlier, later, side=side) - start  # type: ignore[call-overload]
            counts.reshape(-1, 2, size)[:, 1] += found.reshape(-1, size)
        size *= 2
    return below[:count], not_above[:count]
