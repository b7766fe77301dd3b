"""What a summary says of probabilities: their metrics with intervals, a table of reliability, and every probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import stdtrit

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.object_scores import ObjectScore
from raylab2f.evaluation.estimates import EstimateRow, estimate_rows, metrics_table
from raylab2f.evaluation.intervals.bootstrap import object_weights
from raylab2f.evaluation.intervals.methods import (
    Ends,
    corrected_t_interval,
    deviation_interval,
    naive_t_interval,
    percentile_interval,
    wilson_interval,
)
from raylab2f.evaluation.outcomes.judging import ANY_STRATEGY, LEVELS, Estimate, lack_of_objects
from raylab2f.evaluation.probabilities.calibrators import CALIBRATORS
from raylab2f.evaluation.probabilities.folds import CalibratedFold, build_folds, pool
from raylab2f.evaluation.probabilities.reliability import (
    RELIABILITY_METRICS,
    Judged,
    chance_ece,
    equal_mass_bins,
    reliability_metrics,
)
from raylab2f.evaluation.scores import Scores
from raylab2f.seeding import numpy_generator

__all__ = ["PROBABILITIES_SCHEMA", "ProbabilityLevels", "check_calibrator", "judge_probabilities"]

#: One row for each picture and part that a fold judges.
PROBABILITIES_SCHEMA = pa.schema(
    [
        ("fold", pa.int32()),
        ("level", pa.string()),
        ("id", pa.string()),  # image_id, or object_id at the level object
        ("label", pa.int8()),
        ("score", pa.float64()),
        ("probability", pa.float64()),  # of being defective
        ("low", pa.float64()),  # p0 and p1 of Venn-Abers, else null
        ("high", pa.float64()),
    ]
)

# Calibrators are fitted in every replicate: more of them would take long and make intervals no better.
_MOST_REPLICATES, _LEAST_REPLICATES, _MOST_FITTED_ROWS = 1000, 100, 5 * 10**6
_LOG_LOSS = RELIABILITY_METRICS.index("log_loss")
# What is a mean over folds; the others are of all folds together.
_MEANS = ("brier_score", "log_loss")


@dataclass(frozen=True)
class ProbabilityLevels:
    """What a summary says of probabilities: rows, values of folds, `reliability` of `summary.json`, probabilities."""

    estimates: tuple[EstimateRow, ...] = ()
    metrics: pa.Table | None = None
    reliability: dict[str, Any] | None = None
    probabilities: pa.Table = field(default_factory=PROBABILITIES_SCHEMA.empty_table)


def check_calibrator(name: str | None) -> None:
    """`UserError` for a calibrator that nobody knows."""
    if name is not None and name not in CALIBRATORS:
        raise UserError(f"--probabilities {name}: choose from {', '.join(CALIBRATORS)}.")


def judge_probabilities(
    scores: Scores,
    rule: ObjectScore,
    calibrator: str | None,
    *,
    prevalence: float | None,
    ratio: float,
    methods: Sequence[str],
    default: str,
    confidence: float,
    replicates: int,
    seed: int,
) -> ProbabilityLevels:
    """Fit a calibrator on every fold's threshold partition, judge it on the inference partition.

    The judged classes are weighted so that as many are defective as the probabilities hold for: the share of the
    threshold partition, or `prevalence`.

    Arguments:
        scores: checked score table.
        rule: from picture scores to object scores.
        calibrator: key of `CALIBRATORS`; `None`: nothing is said.
        prevalence: the factory's share of defective parts, to which probabilities are moved.
        ratio: of the corrected t, see `corrected_t_interval`.
        methods: names of `INTERVALS`; `object-bootstrap` (and `-percentile`) apply to all metrics, those over folds to
            `brier_score` and `log_loss`. Calibrators are fitted anew in every replicate.
        default: the method asked for.
        confidence, replicates, seed: as in `evaluate`; at most 1,000 replicates are drawn, of many rows fewer.

    Raises:
        UserError: an unknown calibrator, or a threshold partition of one class.
    """
    check_calibrator(calibrator)
    if calibrator is None:
        return ProbabilityLevels()
    levels = LEVELS if lack_of_objects(scores) is None else LEVELS[:1]
    strata = scores.object_anomalous if len(levels) > 1 else np.ones(len(scores.object_anomalous), dtype=bool)
    estimates: list[EstimateRow] = []
    tables, rows, said = [], [], {}
    for level in levels:
        folds = build_folds(scores, level, rule)
        everyone = np.ones(len(strata))
        by_fold = _judge(folds, calibrator, everyone, prevalence)
        values = np.array([reliability_metrics(one) if one is not None else _NOTHING for one in by_fold]).T
        judged = pool([one for one in by_fold if one is not None])
        means = reliability_metrics(judged)
        means[~np.isfinite(means)] = np.nan
        values[~np.isfinite(values) | np.isnan(means)[:, None]] = np.nan
        drawn = _replicates(folds, calibrator, strata, prevalence, replicates, seed, level)
        ends = _ends(judged, means, values, drawn, strata, ratio, methods, confidence)
        wanted = [Estimate(ANY_STRATEGY, level, metric) for metric in RELIABILITY_METRICS]
        estimates += estimate_rows(wanted, values, means, ends, default, confidence)
        none = np.full(values.shape, np.nan)
        tables.append(metrics_table(scores.folds, wanted, values, none, none))
        rows.append(_probabilities(scores, folds, level, calibrator, prevalence))
        said[level] = {"chance_ece": chance_ece(judged), "bins": _bins(judged, confidence)}
    described = {"calibrator": calibrator, "prevalence": prevalence, "levels": said}
    return ProbabilityLevels(tuple(estimates), pa.concat_tables(tables), described, pa.concat_tables(rows))


_NOTHING = np.full(len(RELIABILITY_METRICS), np.nan)


def _judge(
    folds: Sequence[CalibratedFold], calibrator: str, weights: np.ndarray, prevalence: float | None
) -> list[Judged | None]:
    found = []
    for fold in folds:
        calibrated, share = fold.probabilities(calibrator, weights, prevalence)
        found.append(fold.judge(calibrated.value, share, weights))
    return found


def _replicates(
    folds: Sequence[CalibratedFold],
    calibrator: str,
    strata: np.ndarray,
    prevalence: float | None,
    replicates: int,
    seed: int,
    level: str,
) -> np.ndarray:
    """(metrics, replicates) of a bootstrap over objects; NaN for replicates without a value."""
    rows = sum(len(fold.choosing.label) + len(fold.judged.label) for fold in folds)
    count = min(replicates, _MOST_REPLICATES, max(_MOST_FITTED_ROWS // rows, _LEAST_REPLICATES))
    rng = numpy_generator(seed, "probabilities", level)
    found = []
    for _ in range(count):
        weights = object_weights(strata, 1, rng)[:, 0]
        judged = [one for one in _judge(folds, calibrator, weights, prevalence) if one is not None]
        found.append(reliability_metrics(pool(judged)) if judged else _NOTHING)
    drawn = np.array(found).T
    return np.where(np.isfinite(drawn), drawn, np.nan)


def _ends(
    judged: Judged,
    means: np.ndarray,
    values: np.ndarray,
    drawn: np.ndarray,
    strata: np.ndarray,
    ratio: float,
    methods: Sequence[str],
    confidence: float,
) -> dict[str, Ends]:
    ends: dict[str, Ends] = {}
    known = ~np.isnan(means)
    if "object-bootstrap" in methods:
        counts = [float(len(np.unique(judged.owner[judged.label == label]))) for label in (1.0, 0.0)]
        degrees = max(float(len(np.unique(judged.owner))) - (1.0 if strata.all() else 2.0), 1.0)
        low, high = deviation_interval(
            means,
            drawn,
            objects=np.tile(counts, (len(means), 1)),
            degrees=degrees,
            ranking=np.ones(len(means), dtype=bool),
            confidence=confidence,
        )
        # Not a share: a t interval on the scale of its logarithm.
        loss, error = float(means[_LOG_LOSS]), float(np.nanstd(drawn[_LOG_LOSS])) if known[_LOG_LOSS] else np.nan
        # Where every certainty was right, nothing says how dear a wrong one would be.
        half = float(stdtrit(degrees, (1 + confidence) / 2)) * error / loss if loss else np.nan
        low[_LOG_LOSS], high[_LOG_LOSS] = loss * np.exp(-half), loss * np.exp(half)
        ends["object-bootstrap"] = low, high
    if "object-bootstrap-percentile" in methods:
        ends["object-bootstrap-percentile"] = percentile_interval(drawn, confidence)
    of_means = np.array([metric in _MEANS for metric in RELIABILITY_METRICS])[:, None]
    by_fold = np.where(of_means, values, np.nan)
    if "corrected-t" in methods:
        ends["corrected-t"] = corrected_t_interval(by_fold, ratio, confidence)
    if "naive-t" in methods:
        ends["naive-t"] = naive_t_interval(by_fold, confidence)
    most = np.where(np.arange(len(means)) == _LOG_LOSS, np.inf, 1.0)
    # A certainty that was wrong: no mean, so no interval.
    return {
        method: (np.where(known, np.clip(low, 0, most), np.nan), np.where(known, np.clip(high, 0, most), np.nan))
        for method, (low, high) in ends.items()
    }


def _bins(judged: Judged, confidence: float) -> list[dict[str, Any]]:
    """One row a bin; the share's interval is Wilson's for so many parts as there are in the bin."""
    which = equal_mass_bins(judged.probability, judged.weight)
    rows = []
    for number in np.unique(which):
        here = which == number
        weight = judged.weight[here]
        if not weight.sum():
            continue
        share = min(float(weight @ judged.label[here] / weight.sum()), 1.0)
        parts = len(np.unique(judged.owner[here]))
        low, high = wilson_interval(np.array(share), float(parts), confidence)
        rows.append(
            {
                "from": float(judged.probability[here].min()),
                "to": float(judged.probability[here].max()),
                "probability": min(float(weight @ judged.probability[here] / weight.sum()), 1.0),
                "share": share,
                "low": float(low),
                "high": float(high),
                "parts": parts,
                "weight": float(weight.sum()),
            }
        )
    return rows


def _probabilities(
    scores: Scores, folds: Sequence[CalibratedFold], level: str, calibrator: str, prevalence: float | None
) -> pa.Table:
    tables = []
    everyone = np.ones(len(scores.object_anomalous))
    for fold in folds:
        found, _ = fold.probabilities(calibrator, everyone, prevalence)
        names = scores.object_names[fold.which] if level == "object" else scores.image_names[scores.image[fold.which]]
        two = calibrator == "venn-abers"
        columns = {
            "fold": np.full(len(names), fold.number, np.int32),
            "level": pa.array([level] * len(names), pa.string()),
            "id": pa.array(names, pa.string()),
            "label": fold.judged.label.astype(np.int8),
            "score": fold.judged.score[fold.judged.group],
            "probability": found.value,
            "low": found.low if two else pa.nulls(len(names), pa.float64()),
            "high": found.high if two else pa.nulls(len(names), pa.float64()),
        }
        tables.append(pa.table(columns, schema=PROBABILITIES_SCHEMA))
    return pa.concat_tables(tables)
