"""Likelihood failure: does a likelihood model rank pictures by how complex they are instead of how usual?

Normalizing flows give simple pictures a high likelihood whatever they show (Nalisnick et al., "Do Deep Generative
Models Know What They Don't Know?", 2019; Serra et al., "Input Complexity and Out-of-distribution Detection with
Likelihood-based Generative Models", 2020), so that a smooth defect can look more usual than a good part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from scipy.stats import rankdata

from raylab2f.diagnostics.complexity import BACKGROUND_STATISTICS
from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude, skipped
from raylab2f.diagnostics.maps import correlation
from raylab2f.diagnostics.resampling import Estimate, auroc, resample
from raylab2f.evaluation.intervals.methods import corrected_t_interval

__all__ = ["BACKGROUND_SHARE", "COMPLEXITY_RANK", "INVERTED", "diagnose_likelihood"]

# A rank correlation of 0.7 is half of what varies in the scores' ranks (0.7 squared), of 0.5 a quarter.
COMPLEXITY_RANK = Bounds(0.5, 0.7)
# Defective pictures rank below good ones more often than above: 0.5 is a detector that knows nothing.
INVERTED = Bounds(0.5, 0.55)
# A quarter, and half, of the variance of good pictures' scores predicted from the background alone.
BACKGROUND_SHARE = Bounds(0.25, 0.5)

_RIDGE = 1.0
_GROUPS = 5


def diagnose_likelihood(scores: pa.Table, complexity: pa.Table, *, seed: int) -> Finding:
    """Hold scores against the complexity of pictures and the statistics of their backgrounds.

    Arguments:
        scores: `fold`, `image_id`, `object_id`, `label`, `defect_type`, `score` of evaluation pictures.
        complexity: of `complexity.COMPLEXITY_SCHEMA`.
        seed: of the resampling.
    """
    name = "likelihood"
    known = {row["image_id"]: row for row in complexity.to_pylist()}
    rows = [row for row in scores.to_pylist() if row["image_id"] in known]
    label = np.array([row["label"] for row in rows])
    if not rows or label.all():
        return skipped(name, "No good pictures with known complexity were scored.")
    fold = np.array([row["fold"] for row in rows])
    score = np.array([row["score"] for row in rows], np.float64)
    owner = np.array([row["object_id"] for row in rows])
    facts = {
        key: np.array([known[row["image_id"]][key] for row in rows], np.float64)
        for key in ("entropy", "complexity", *BACKGROUND_STATISTICS)
    }
    nominal = label == 0
    measures = []
    for key, what in (("complexity", "their complexity (compressed size)"), ("entropy", "the entropy of their greys")):
        by_fold = [
            correlation(rankdata(score[here]), rankdata(facts[key][here]))
            for one in np.unique(fold)
            if (here := nominal & (fold == one)).sum() > 2
        ]
        rank = _over_folds(np.array(by_fold))
        strength = Estimate(abs(rank.value), *_mirrored(rank))
        sentence = f"Scores of good pictures and {what} have a rank correlation of {rank.value:+.2f}."
        measures.append(Measure(f"{key}-correlation", strength, sentence, COMPLEXITY_RANK))
    if (~nominal).any():
        above = auroc(resample(owner, label, seed=seed), score, label, fold)
        below = Estimate(1 - above.value, 1 - above.high, 1 - above.low)
        sentence = f"Defective pictures score below good ones in {below.value:.0%} of pairs."
        measures.append(Measure("anomalies-below-nominals", below, sentence, INVERTED))
    statistics = np.stack([facts[key] for key in BACKGROUND_STATISTICS], axis=1)
    shown = nominal & np.isfinite(statistics).all(axis=1)
    if shown.any():
        shares = np.array(
            [
                _predicted_share(statistics[here], score[here], owner[here])
                for one in np.unique(fold)
                if len(np.unique(owner[here := shown & (fold == one)])) >= _GROUPS
            ]
        )
        share = _over_folds(shares)
        sentence = f"Statistics of the background predict {max(share.value, 0):.0%} of the variance of good scores."
        measures.append(Measure("score-from-background", share, sentence, BACKGROUND_SHARE))
    image = np.array([row["image_id"] for row in rows])
    good, hidden = len(set(image[nominal])), len(set(image[nominal & ~shown]))
    seen_on = []
    if hidden:
        seen_on = [
            f"{hidden} of {good} good pictures show no background, or have no foreground mask; score-from-background "
            "leaves them out."
        ]
    return conclude(name, measures, _by_defect(rows, score, label, fold), seen_on)


def _over_folds(values: np.ndarray) -> Estimate:
    """Mean over folds with Nadeau and Bengio's corrected interval; folds judge as much as they choose with."""
    if not len(values):
        return Estimate(float("nan"))
    if len(values) < 2:
        return Estimate(float(values.mean()))
    low, high = corrected_t_interval(values[None], 1.0, 0.95)
    return Estimate(float(values.mean()), max(-1.0, float(low[0])), min(1.0, float(high[0])))


def _mirrored(estimate: Estimate) -> tuple[float, float]:
    """Ends of the interval of the absolute value."""
    low, high = abs(estimate.low), abs(estimate.high)
    return (0.0 if estimate.low < 0 < estimate.high else min(low, high)), max(low, high)


def _predicted_share(statistics: np.ndarray, score: np.ndarray, owner: np.ndarray) -> float:
    """Share of variance that ridge regression predicts for objects it was not fitted on; below 0: nothing."""
    names, number = np.unique(owner, return_inverse=True)
    group = number % min(_GROUPS, len(names))
    predicted = np.empty(len(score))
    for one in np.unique(group):
        here = group == one
        centre, spread = statistics[~here].mean(axis=0), statistics[~here].std(axis=0) + 1e-12
        x, y = (statistics[~here] - centre) / spread, score[~here] - score[~here].mean()
        weights = np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ y)
        predicted[here] = (statistics[here] - centre) / spread @ weights + score[~here].mean()
    total = float(((score - score.mean()) ** 2).sum())
    return 1 - float(((score - predicted) ** 2).sum()) / total if total > 0 else 0.0


def _by_defect(rows: list[dict[str, Any]], score: np.ndarray, label: np.ndarray, fold: np.ndarray) -> pa.Table:
    """How often each defect type scores below good pictures, worst first."""
    kinds = np.array([row.get("defect_type") or "" for row in rows])
    table: list[dict[str, Any]] = []
    for kind in sorted(set(kinds[label == 1])):
        below = []
        for one in np.unique(fold):
            defects = score[(fold == one) & (kinds == kind) & (label == 1)]
            good = score[(fold == one) & (label == 0)]
            if len(defects) and len(good):
                below.append(float((defects[:, None] < good[None]).mean()))
        if below:
            table.append({"defect_type": str(kind), "below_good": float(np.mean(below)), "folds": len(below)})
    schema = pa.schema([("defect_type", pa.string()), ("below_good", pa.float64()), ("folds", pa.int64())])
    return pa.Table.from_pylist(sorted(table, key=lambda row: -row["below_good"]), schema=schema)
