"""ROC and precision-recall curves as means over folds, with bands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from raylab2f.evaluation.decisions.curves import Curve, arrange_weights, sweep
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.intervals.bootstrap import object_weights
from raylab2f.evaluation.outcomes.judging import Problem, build_problem
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.evaluation.scores import prepare_scores
from raylab2f.seeding import numpy_generator

__all__ = ["CURVES_SCHEMA", "curve_bands"]

CURVES_SCHEMA = pa.schema(
    [
        ("curve", pa.string()),
        ("level", pa.string()),
        ("x", pa.float64()),
        ("y", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
    ]
)

# Denser where curves of good detectors bend.
_FALSE_ALARM_RATES = np.concatenate([np.linspace(0, 0.1, 21), np.linspace(0.12, 1, 45)])
_RECALLS = np.linspace(0.02, 1, 50)


def curve_bands(
    table: pa.Table,
    *,
    levels: Sequence[str] = ("image", "object"),
    object_score: str = "max",
    confidence: float = 0.95,
    replicates: int = 400,
    seed: int = 0,
) -> pa.Table:
    """Curves of `CURVES_SCHEMA`, one after the other: `roc` (x false-alarm rate, y recall) and `precision-recall`.

    A curve is the mean of the folds' curves at each x (vertical averaging: Fawcett, "An introduction to ROC analysis",
    2006, section 8); its band holds the middle share `confidence` of the bootstrap over objects at each x by itself,
    which is no band for the whole curve.

    Arguments:
        table: scores of all folds, see `prepare_scores`.
        levels: of `LEVELS`; those that the scores do not have are left out.
        object_score: from picture scores to object scores.
        replicates: of the bootstrap.

    Raises:
        UserError: as `prepare_scores`.
    """
    scores = prepare_scores(table, seed=seed)
    problem = build_problem(scores, (), parse_object_score(object_score), Costs())
    weights = object_weights(problem.strata, replicates, numpy_generator(seed, "curve bands"))
    weights = np.concatenate([np.ones((len(weights), 1)), weights], axis=1)
    tables = [
        _banded(name, level, x, values, confidence)
        for level in problem.levels
        if level in levels
        for name, x, values in _mean_curves(problem, level, arrange_weights(weights))
    ]
    return pa.concat_tables([CURVES_SCHEMA.empty_table(), *tables])


def _mean_curves(problem: Problem, level: str, weights: np.ndarray) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, (k,) x and (k, b) y of each curve, means over the folds that have both classes under a weighting."""
    found = [_fold_curves(sweep(cell[level].inference.ranking, weights)) for cell in problem.cells]
    curves = []
    for name, x in (("roc", _FALSE_ALARM_RATES), ("precision-recall", _RECALLS)):
        values = np.stack([fold[name] for fold in found])
        known = np.isfinite(values)
        total = np.where(known, values, 0).sum(axis=0)
        with np.errstate(invalid="ignore"):
            curves.append((name, x, total / known.sum(axis=0)))
    return curves


def _fold_curves(curve: Curve) -> dict[str, np.ndarray]:
    replicates = curve.tp.shape[1]
    roc = np.full((len(_FALSE_ALARM_RATES), replicates), np.nan)
    precision_recall = np.full((len(_RECALLS), replicates), np.nan)
    for column in np.flatnonzero((curve.positives > 0) & (curve.negatives > 0)):
        tp, fp = curve.tp[:, column], curve.fp[:, column]
        recall = tp / tp[-1]
        # Where several recalls have one false-alarm rate, the highest: `interp` takes the last of equal x.
        roc[:, column] = np.interp(_FALSE_ALARM_RATES, fp / fp[-1], recall)
        first = np.searchsorted(recall, _RECALLS - 1e-12)
        precision_recall[:, column] = tp[first] / (tp[first] + fp[first])
    return {"roc": roc, "precision-recall": precision_recall}


def _banded(name: str, level: str, x: np.ndarray, values: np.ndarray, confidence: float) -> pa.Table:
    tail = (1 - confidence) / 2
    known = np.isfinite(values[:, 1:]).any(axis=1)
    low, high = np.full((2, len(x)), np.nan)
    low[known], high[known] = np.nanquantile(values[known, 1:], [tail, 1 - tail], axis=1)
    count = len(x)
    columns = [pa.array([name] * count), pa.array([level] * count)]
    columns += [pa.array(column, from_pandas=True) for column in (x, values[:, 0], low, high)]
    return pa.Table.from_arrays(columns, schema=CURVES_SCHEMA)
