"""Thresholds chosen anew for weights of the objects, as the bootstrap of the evaluation chooses them."""

from __future__ import annotations

import numpy as np

from raylab2f.evaluation.decisions.curves import Ranking, rank_scores, sweep
from raylab2f.evaluation.decisions.object_scores import ObjectScore, aggregate_scores
from raylab2f.evaluation.decisions.strategies import Strategy
from raylab2f.evaluation.decisions.thresholds import nominal_shares, threshold_values
from raylab2f.evaluation.decisions.two_thresholds import cut_pairs

__all__ = ["choose_thresholds", "rank_choosing"]


def rank_choosing(
    strategy: Strategy,
    score: np.ndarray,
    owner: np.ndarray,
    label: np.ndarray,
    anomalous: np.ndarray,
    rule: ObjectScore,
) -> Ranking:
    """What the strategy chooses by, pictures or objects, ranked.

    Arguments:
        score, label: (n,) of the pictures of one threshold partition, n >= 1.
        owner: (n,) object of each picture, an index into `anomalous`.
        anomalous: (objects,) bool.
        rule: from picture scores to object scores.
    """
    if not strategy.on_objects:
        return rank_scores(score, owner, label.astype(bool))
    objects, aggregated = aggregate_scores(score, owner, rule)
    return rank_scores(aggregated, objects, anomalous[objects])


def choose_thresholds(strategy: Strategy, ranking: Ranking, weights: np.ndarray) -> np.ndarray:
    """(2, b) low and high thresholds for (objects, b) weights of the objects; NaN where a weighting gives none."""
    if strategy.is_given:
        return np.repeat(np.array(strategy.given)[:, None], weights.shape[1], axis=1)
    if strategy.by_share:
        weights = weights * nominal_shares(ranking, len(weights))[:, None]
    cut = np.stack(cut_pairs(strategy, sweep(ranking, weights)))
    return np.where(cut >= 0, threshold_values(ranking)[cut], np.nan)
