"""Probability of detection against size: hit or miss, a curve with its band, a90 and a90/95, or why there is none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.thresholds import parse_strategy
from raylab2f.evaluation.detection.fit import CONFIDENCE, PROBABILITY, Fit, fit_hits
from raylab2f.evaluation.detection.hits import Hits, count_hits
from raylab2f.evaluation.detection.outcome import CURVE_SCHEMA, Detection, DetectionRow
from raylab2f.evaluation.detection.sizes import read_sizes
from raylab2f.evaluation.outcomes.parts import list_parts
from raylab2f.evaluation.scores import prepare_scores

__all__ = ["LEAST_PARTS", "detection_row", "probability_of_detection", "why_no_curve"]

#: With fewer defective parts there is no curve. (MIL-HDBK-1823A, 4.5.2.2, wants 60 targets for hit/miss data.)
LEAST_PARTS = 10

_LEAST_SIZES = 3
_LEAST_RATIO = 1.1
_POINTS = 81


def probability_of_detection(
    table: pa.Table,
    *,
    strategy: str = "youden",
    level: str = "object",
    object_score: str = "max",
    size: str = "column",
    unit: str = "",
    replicates: int = 1000,
    seed: int = 0,
    folds: int = 10,
) -> Detection:
    """How large a defect must be to be found.

    Arguments:
        table: scores, see `raylab2f.evaluation.evaluate`, and `size`, above 0, of each defective picture's defect;
            empty where it is not known: such pictures are left out.
        strategy: by which thresholds are chosen.
        level: `object`: parts, of the size of their largest defect; `image`: pictures.
        object_score: from picture scores to object scores.
        size, unit: what sizes are, for the outcome.
        replicates: of the bootstrap over parts.
        seed: of the bootstrap, and of the splits of a table without `fold` and `partition`.
        folds: number of these splits.

    Raises:
        UserError: no sizes, or a table that makes no sense.
    """
    scores = prepare_scores(table, folds=folds, seed=seed, size=read_sizes(table))
    rule = parse_object_score(object_score)
    hits = count_hits(scores, parse_strategy(strategy), rule, level, replicates=replicates, seed=seed)
    if not len(hits.size):
        raise UserError(
            f"None of the {hits.unsized} defective {_noun(level)}s that were judged has a size; give a column size, or "
            "pictures with defect masks that mark something."
        )
    rows = [detection_row(hits, unit, level)]
    types = list_parts(scores, level, ())
    if len(types) > 1:
        for kind in types:
            chosen = kind.rows if level == "object" else _of_images(kind.rows, scores.image)
            mine = hits.some(chosen[hits.number])
            if len(mine.size):
                rows.append(detection_row(mine, unit, level, kind.name))
    return Detection(
        rows=tuple(rows),
        size=size,
        unit=unit,
        level=level,
        settings={
            "strategy": strategy,
            "object_score": str(rule),
            "folds": len(scores.folds),
            "probability": PROBABILITY,
            "confidence": CONFIDENCE,
            "replicates": replicates,
            "seed": seed,
        },
        unsized=hits.unsized,
        warnings=scores.warnings,
    )


def detection_row(hits: Hits, unit: str, level: str, defect_type: str | None = None) -> DetectionRow:
    """The curve of some defects, and what it says or why it does not.

    Arguments:
        hits: at least one.
        unit: of sizes, for sentences.
        level: what was judged, for sentences.
        defect_type: which they are; `None`: all.
    """
    weight = hits.weight
    facts = {
        "defect_type": defect_type,
        "parts": hits.parts,
        "judged": len(hits.size),
        "found": float((weight * hits.share).sum() / weight.sum()),
        "smallest": float(hits.size.min()),
        "largest": float(hits.size.max()),
    }
    reason = why_no_curve(hits, level)
    if reason is not None:
        return DetectionRow(**facts, why_no_a90=reason, why_no_a90_95=reason)  # type: ignore[arg-type]
    fit = fit_hits(hits)
    ceiling = float(fit.best.ceiling[0])
    a90, no_a90 = _in_range(fit, fit.reached)
    bound, no_bound = _in_range(fit, fit.bound)
    words = {name: f"{facts[name]:.3g} {unit}".strip() for name in ("smallest", "largest")}
    z = np.linspace(0, 1, _POINTS)
    columns = [pa.array(column, pa.float64()) for column in (fit.size(z), *fit.band(z))]
    return DetectionRow(
        **facts,  # type: ignore[arg-type]
        a90=a90,
        a90_95=bound,
        why_no_a90=no_a90 and _WHY_NO_A90[no_a90].format(ceiling=ceiling, **words),
        why_no_a90_95=no_bound and _WHY_NO_BOUND[no_bound].format(**words),
        floor=float(fit.best.floor[0]),
        ceiling=ceiling,
        effect=fit.effect,
        curve=pa.table(columns, schema=CURVE_SCHEMA),
    )


_WHY_NO_A90 = {
    "below": "Already of the smallest defects, {smallest}, more than 90 % are found; a90 is below all sizes seen.",
    "above": "The curve reaches 90 % only beyond the largest defect seen, {largest}.",
    "never": "The curve levels off at {ceiling:.1%}, below 90 %: some defects are missed however large they are.",
}
_WHY_NO_BOUND = {
    "below": "With 95 % confidence, more than 90 % already of the smallest defects, {smallest}, are found.",
    "above": "With 95 % confidence, 90 % are found only beyond the largest defect seen, {largest}.",
    "never": "With 95 % confidence it cannot be said that 90 % are found at any size; about 29 parts larger than a90 "
    "and none of them missed, or more parts with few misses, would show it.",
}


def why_no_curve(hits: Hits, level: str) -> str | None:
    """One sentence where these hits say nothing of how detection depends on size; `None` where they do."""
    noun = _noun(level)
    missed = hits.weight @ (1 - hits.share)
    if hits.parts < LEAST_PARTS:
        parts = f"{hits.parts} defective part{'' if hits.parts == 1 else 's'}"
        return (
            f"Of known size there {'is' if hits.parts == 1 else 'are'} {parts}; a curve takes at least {LEAST_PARTS}."
        )
    if len(np.unique(hits.size)) < _LEAST_SIZES or hits.size.max() < _LEAST_RATIO * hits.size.min():
        return "All defects are of nearly one size, so nothing says how detection depends on it."
    if missed == 0:
        return f"No defective {noun} was missed, so nothing says at which size misses begin; smaller defects would."
    if not (hits.share > 0).any():
        return f"Every defective {noun} was missed, so nothing says at which size detection begins; larger ones would."
    x = np.log(hits.size)
    centre = np.average(x, weights=hits.weight)
    if hits.weight * hits.share @ (x - centre) <= 0:
        return "Larger defects are not found more often than small ones, so no size can be said to be large enough."
    return None


def _noun(level: str) -> str:
    return "part" if level == "object" else "picture"


def _of_images(rows: np.ndarray, image: np.ndarray) -> np.ndarray:
    return np.bincount(image, weights=rows) > 0


def _in_range(fit: Fit, z: float) -> tuple[float | None, str | None]:
    """The size, or where it lies instead of among those that were seen."""
    if z == np.inf:
        return None, "never"
    if not 0 <= z <= 1:
        return None, "below" if z < 0 else "above"
    return float(fit.size(np.array([z]))[0]), None
