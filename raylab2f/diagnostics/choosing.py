"""Thresholds of a fold, chosen again with parts weighted otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from raylab2f.evaluation.decisions.curves import Ranking, rank_scores, sweep
from raylab2f.evaluation.decisions.object_scores import ObjectScore, aggregate_scores
from raylab2f.evaluation.decisions.strategies import Strategy
from raylab2f.evaluation.decisions.thresholds import nominal_shares, threshold_values
from raylab2f.evaluation.decisions.two_thresholds import cut_pairs

__all__ = ["choosing_ranking", "weighted_thresholds"]


def choosing_ranking(
    strategy: Strategy, choosing: Mapping[str, np.ndarray], owner: np.ndarray, anomalous: np.ndarray, rule: ObjectScore
) -> Ranking:
    """What a strategy chooses by, pictures or objects, ranked as in the evaluation.

    Arguments:
        choosing: `score` and `label`, (n,), of the threshold partition.
        owner: (n,) number of each picture's object.
        anomalous: (objects,) which of the objects are.
        rule: from pictures' scores to an object's.
    """
    if not strategy.on_objects:
        return rank_scores(choosing["score"], owner, choosing["label"].astype(bool))
    objects, score = aggregate_scores(choosing["score"], owner, rule)
    return rank_scores(score, objects, anomalous[objects])


def weighted_thresholds(strategy: Strategy, ranking: Ranking, weights: np.ndarray) -> np.ndarray:
    """(2, b) low and high thresholds for (objects, b) weights of the objects; NaN where there is none."""
    if strategy.is_given:
        return np.full((2, weights.shape[1]), strategy["threshold"])
    if strategy.by_share:
        weights = weights * nominal_shares(ranking, len(weights))[:, None]
    cut = np.stack(cut_pairs(strategy, sweep(ranking, weights)))
    return np.where(cut >= 0, threshold_values(ranking)[cut], np.nan)
