"""How often each score occurs among good and among defective parts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from raylab2f.evaluation.decisions.object_scores import aggregate_scores, parse_object_score
from raylab2f.evaluation.scores import Scores

__all__ = ["HISTOGRAM_SCHEMA", "level_scores", "score_histogram"]

HISTOGRAM_SCHEMA = pa.schema(
    [("low", pa.float64()), ("high", pa.float64()), ("good", pa.float64()), ("defective", pa.float64())]
)

# Scores beyond these quantiles of either class are counted in the outermost bins, or a single one makes all others one.
_SHOWN = (0.002, 0.99)


def level_scores(scores: Scores, level: str, object_score: str = "max") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Judged scores of one level: (n,) scores, (n,) labels, bool, and (n,) index of the fold.

    Arguments:
        level: `image` or `object`.
        object_score: from picture scores to object scores.
    """
    rows = np.flatnonzero(scores.judged)
    if level == "image":
        return scores.score[rows], scores.label[rows], scores.fold[rows]
    rule = parse_object_score(object_score)
    parts = []
    for fold in range(len(scores.folds)):
        own = rows[scores.fold[rows] == fold]
        owner, score = aggregate_scores(scores.score[own], scores.object[own], rule)
        parts.append((score, scores.object_anomalous[owner], np.full(len(owner), fold)))
    score, label, fold_of = (np.concatenate(column) for column in zip(*parts, strict=True))
    return score, label, fold_of


def score_histogram(score: np.ndarray, label: np.ndarray, bins: int = 48) -> pa.Table:
    """Shares of each class by score, of `HISTOGRAM_SCHEMA`; either class sums to 1.

    Arguments:
        score: (n,) of all folds, n >= 1.
        label: (n,) bool.
        bins: of equal width; the outermost two also hold what lies beyond them.
    """
    ends = [np.quantile(score[label == one], _SHOWN) for one in (False, True) if (label == one).any()]
    low, high = float(min(end[0] for end in ends)), float(max(end[1] for end in ends))
    if not low < high:
        margin = max(abs(low), 1.0) / 100
        low, high = low - margin, high + margin
    edges = np.linspace(low, high, bins + 1)
    columns = [edges[:-1], edges[1:]]
    for one in (False, True):
        own = np.clip(score[label == one], low, high)
        columns.append(np.histogram(own, edges)[0] / max(len(own), 1))
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=HISTOGRAM_SCHEMA)
