"""Presorted good and presorted bad: how much of one class goes by itself if a little of the other is given up.

`pg2`, `pg5`: the largest share of the good parts that can be accepted while at most 2 % (5 %) of the defective ones are
accepted with them: the true negative rate at a false negative rate of n %. `pb2`, `pb5`: the largest share of the
defective parts that can be rejected while at most 2 % (5 %) of the good ones are rejected with them. Baitieva et al.,
"Beyond Academic Benchmarks: Critical Analysis and Best Practices for Visual Industrial Anomaly Detection" (2025), where
they are called PG2 and PB2; anomalib's `PGn` and `PBn`.

anomalib takes the n % quantile of one class's scores, interpolated between two of them. With few parts that lets up to
one part more pass than n % allow; here the promise is kept as it is spelled. The two are equal where the quantile is
one of the scores, else they differ by what one part of the class that is given up makes. With fewer than 50 defective
parts `pg2` lets none of them pass.

Both look for their threshold on the judged parts themselves, as AUROC does: they say what the scores could do, not what
a threshold chosen beforehand will do. That is what `specificity` and `recall` of the strategies `target-recall:0.98`
and `target-fpr:0.02` say.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from raylab2f.evaluation.decisions.curves import Curve

__all__ = ["PRESORTED", "presorted_shares"]

#: By metric: whether the good class is sorted out, and which share of the other class may go with it.
PRESORTED = {"pg2": (True, 0.02), "pg5": (True, 0.05), "pb2": (False, 0.02), "pb5": (False, 0.05)}

# Sums of whole weights times a share, in floating point.
_SLACK = 1e-9

# Of so many weightings each is searched by itself, which many would be slower at.
_FEW = 32


def presorted_shares(curve: Curve) -> dict[str, np.ndarray]:
    """The metrics of `PRESORTED`, each (b,), in [0, 1]; of no meaning for weightings without both classes.

    Arguments:
        curve: of g thresholds and b weightings.
    """
    found = {}
    column = np.arange(curve.tp.shape[1])
    p, n = curve.positives, curve.negatives
    safe_p, safe_n = np.where(p > 0, p, 1), np.where(n > 0, n, 1)
    for name, (good, share) in PRESORTED.items():
        if good:
            # Of thresholds that find enough of the defective parts the highest: it flags the fewest good ones.
            row = _first(curve.tp, (1 - share) * p - _SLACK * safe_p)
            found[name] = 1 - curve.fp[row, column] / safe_n
        else:
            row = _first(curve.fp, share * n + _SLACK * safe_n, above=True) - 1
            found[name] = curve.tp[row, column] / safe_p
    return found


def _first(counts: np.ndarray, limit: np.ndarray, *, above: bool = False) -> np.ndarray:
    """(b,) the first row of (g + 1, b) ascending counts that reaches a limit, or is above it; g + 1 where none is."""
    if counts.shape[1] <= _FEW:
        # Curves of few weightings lie in memory by columns.
        side: Literal["left", "right"] = "right" if above else "left"
        return np.array([one.searchsorted(value, side) for one, value in zip(counts.T, limit.tolist(), strict=True)])
    column = np.arange(counts.shape[1])
    low, high = np.zeros(len(column), dtype=np.int64), np.full(len(column), len(counts))
    # All weightings are bisected together.
    while (low < high).any():
        middle = (low + high) // 2
        value = counts[np.minimum(middle, len(counts) - 1), column]
        reached = (value > limit) if above else (value >= limit)
        open_ = low < high
        low, high = np.where(open_ & ~reached, middle + 1, low), np.where(open_ & reached, middle, high)
    return low
