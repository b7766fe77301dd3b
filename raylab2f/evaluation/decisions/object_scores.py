"""One score for an object from the scores of its pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raylab2f.errors import UserError

__all__ = ["OBJECT_SCORES", "ObjectScore", "aggregate_scores", "parse_object_score"]

OBJECT_SCORES = ("max", "mean", "topk-mean", "quantile")

_DEFAULTS = {"topk-mean": 3.0, "quantile": 0.9}


@dataclass(frozen=True)
class ObjectScore:
    """How picture scores become an object score.

    Arguments:
        name: `max`, `mean`, `topk-mean` (mean of the k highest; of all where there are fewer) or `quantile`
            (the lowest picture score that at least a share q of the object's pictures do not exceed).
        parameter: k (default 3) or q (default 0.9).
    """

    name: str
    parameter: float | None = None

    def __str__(self) -> str:
        return self.name if self.parameter is None else f"{self.name}:{self.parameter:g}"


def parse_object_score(text: str) -> ObjectScore:
    """Read `max`, `mean`, `topk-mean`, `topk-mean:5`, `quantile` or `quantile:0.75`.

    Raises:
        UserError: unknown name or impossible parameter.
    """
    name, _, parameter = text.partition(":")
    if name not in OBJECT_SCORES or (parameter and name not in _DEFAULTS):
        raise UserError(f"Unknown object score '{text}'; choose one of {', '.join(OBJECT_SCORES)}.")
    if name not in _DEFAULTS:
        return ObjectScore(name)
    try:
        value = float(parameter) if parameter else _DEFAULTS[name]
    except ValueError:
        value = float("nan")
    if name == "topk-mean" and not (value >= 1 and value == int(value)):
        raise UserError(f"Object score '{text}': k is a whole number of at least 1.")
    if name == "quantile" and not 0 < value <= 1:
        raise UserError(f"Object score '{text}': the quantile is above 0 and at most 1.")
    return ObjectScore(name, value)


def aggregate_scores(scores: np.ndarray, owner: np.ndarray, how: ObjectScore) -> tuple[np.ndarray, np.ndarray]:
    """Object scores.

    Arguments:
        scores: (n,) picture scores.
        owner: (n,) integer object of each picture.
        how: the rule.

    Returns:
        (m,) the objects that occur, ascending, and (m,) their scores.
    """
    order = np.lexsort((-scores, owner))
    ranked, owners = scores[order], owner[order]
    objects, start, count = np.unique(owners, return_index=True, return_counts=True)
    if how.name == "max":
        return objects, ranked[start]
    if how.name == "quantile":
        assert how.parameter is not None
        # Rank from below, ceil(q n); the small number absorbs rounding, as in 0.9 * 10.
        from_below = np.maximum(np.ceil(how.parameter * count - 1e-9), 1).astype(np.int64)
        return objects, ranked[start + count - from_below]
    rank = np.arange(len(ranked)) - np.repeat(start, count)
    kept = rank < (how.parameter if how.name == "topk-mean" and how.parameter else np.inf)
    sums = np.add.reduceat(np.where(kept, ranked, 0.0), start)
    return objects, sums / np.add.reduceat(kept, start, dtype=np.int64)
