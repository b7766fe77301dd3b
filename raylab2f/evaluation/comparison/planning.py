"""How many objects an evaluation needs, for an interval of a given width or for a guaranteed recall.

Design effect: Kish, "Survey Sampling" (1965), section 5.4; with objects of unequal size Donner & Klar, "Design and
Analysis of Cluster Randomization Trials" (2000), section 5.4. Intraclass correlation: the estimator from the analysis
of variance, for yes-or-no outcomes compared in Ridout, Demétrio & Firth, Biometrics 55 (1999).

Example:
    >>> objects_for_half_width(0.95, 0.05, method="clopper-pearson")
    94
    >>> objects_for_half_width(0.95, 0.05, method="clopper-pearson", pictures=4, correlation=0.5)
    59
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.special import bdtr

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.curves import rank_scores, sweep
from raylab2f.evaluation.decisions.strategies import parse_strategy
from raylab2f.evaluation.decisions.thresholds import admissible_misses, objects_for_guarantee, threshold_values
from raylab2f.evaluation.decisions.two_thresholds import cut_pairs
from raylab2f.evaluation.intervals.methods import clopper_pearson_interval, wilson_interval
from raylab2f.evaluation.outcomes.judging import lack_of_objects
from raylab2f.evaluation.scores import Scores, prepare_scores

__all__ = [
    "METHODS",
    "Clustering",
    "GuaranteePlan",
    "OutOfReachError",
    "design_effect",
    "estimate_clustering",
    "half_width",
    "objects_for_half_width",
    "plan_guarantee",
]

METHODS = {"clopper-pearson": clopper_pearson_interval, "wilson": wilson_interval}

_MOST_OBJECTS = 10_000_000
_MOST_DEFECTIVE = 2**16


class OutOfReachError(UserError):
    """No reasonable number of objects gives what is asked for."""


@dataclass(frozen=True)
class Clustering:
    """How much pictures of one object of one class say the same.

    Arguments:
        objects: how many the estimate rests on.
        pictures: of an object on average, each object weighted by its pictures (so that the design effect of unequal
            objects comes out right).
        correlation: intraclass correlation of being flagged, in [0, 1]; `None` where all pictures are judged alike,
            which says nothing about it.
    """

    objects: int
    pictures: float
    correlation: float | None


@dataclass(frozen=True)
class GuaranteePlan:
    """Defective objects that the threshold partition needs for `guaranteed-recall`.

    Arguments:
        fewest: with these there is a threshold, the lowest score of a defective object; it may flag almost everything.
        useful: with these the guarantee lets the strategy choose, with the wanted probability, a threshold at which the
            detector's escape rate is the expected one.
        misses: defective objects below the threshold that the guarantee then admits.
    """

    fewest: int
    useful: int
    misses: int


def half_width(rate: float, trials: float, *, method: str = "clopper-pearson", confidence: float = 0.95) -> float:
    """Half the width of the interval when the observed rate is `rate`.

    Arguments:
        rate: in [0, 1]; recall and escape rate have the same width.
        trials: independent trials, > 0, not necessarily whole.
        method: a key of `METHODS`.
        confidence: in (0, 1).
    """
    low, high = METHODS[method](np.array([rate]), trials, confidence)
    return float(high[0] - low[0]) / 2


def objects_for_half_width(
    rate: float,
    wanted: float,
    *,
    method: str = "clopper-pearson",
    confidence: float = 0.95,
    pictures: float = 1.0,
    correlation: float = 1.0,
) -> int:
    """Fewest objects with which the interval's half-width is at most `wanted` if the observed rate is `rate`.

    Several pictures an object: n objects are worth n * pictures / design_effect independent pictures; with the
    correlation 1 (or judging objects instead of pictures) that is n. The search is exact, for the width falls with n.

    Arguments:
        rate: expected recall, escape rate, specificity or overkill rate, in [0, 1].
        wanted: half-width, in (0, 0.5).
        method, confidence: as for `half_width`.
        pictures: of each object, >= 1.
        correlation: intraclass correlation of the pictures' outcomes, in [0, 1].

    Raises:
        UserError: values out of range.
    """
    if not 0 <= rate <= 1:
        raise UserError(f"An expected rate lies between 0 and 1, not at {rate}.")
    if not 0 < wanted < 0.5:
        raise UserError(f"The half-width of an interval is above 0 and below 0.5, not {wanted}.")
    if not 0 < confidence < 1:
        raise UserError(f"The confidence is between 0 and 1, not {confidence}.")
    if method not in METHODS:
        raise UserError(f"Unknown interval method '{method}'; choose from {', '.join(METHODS)}.")
    worth = pictures / design_effect(pictures, correlation)

    def fits(objects: int) -> bool:
        return half_width(rate, objects * worth, method=method, confidence=confidence) <= wanted

    enough = 1
    while not fits(enough):
        enough *= 2
        if enough > _MOST_OBJECTS:
            raise UserError(
                f"A half-width of {wanted} needs more than {_MOST_OBJECTS:,} objects; ask for a larger one."
            )
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        too_few, enough = (too_few, middle) if fits(middle) else (middle, enough)
    return enough


def plan_guarantee(alpha: float, delta: float, escape_rate: float, power: float = 0.8) -> GuaranteePlan:
    """Defective objects for the guarantee that at most a share alpha escapes, with confidence 1 - delta.

    Arguments:
        alpha, delta: as for the strategy `guaranteed-recall`, both in (0, 0.5].
        escape_rate: true escape rate at the threshold that one hopes to keep, in [0, alpha).
        power: wanted probability that so few of the objects lie below that threshold, in (0, 1).

    Raises:
        UserError: values out of range.
        OutOfReachError: an escape rate so close to alpha, or above it, that no reasonable number is enough.
    """
    parse_strategy(f"guaranteed-recall:alpha={alpha},delta={delta}")
    if not 0 <= escape_rate < alpha:
        raise OutOfReachError(
            f"The expected escape rate is {escape_rate:g}, but only one below alpha = {alpha:g} can be guaranteed to "
            "stay below it; raise alpha or the expected recall."
        )
    if not 0 < power < 1:
        raise UserError(f"The power is between 0 and 1, not {power}.")
    largest = 1024
    while largest <= _MOST_DEFECTIVE:
        sizes = np.arange(largest + 1)
        allowed = admissible_misses(largest, alpha, delta)
        sure = np.where(allowed >= 0, bdtr(np.maximum(allowed, 0), sizes, escape_rate), 0.0) >= power
        if sure.any():
            useful = int(sure.argmax())
            return GuaranteePlan(objects_for_guarantee(alpha, delta), useful, int(allowed[useful]))
        largest *= 4
    raise OutOfReachError(
        f"An escape rate of {escape_rate:g} is too close to alpha = {alpha:g}: more than {_MOST_DEFECTIVE:,} "
        "defective objects would be needed; raise alpha."
    )


def design_effect(pictures: float, correlation: float) -> float:
    """How many times as large the variance of a rate is as with independent pictures: 1 + (pictures - 1) correlation.

    Raises:
        UserError: fewer than one picture, or a correlation outside [0, 1].
    """
    if not pictures >= 1:
        raise UserError(f"An object has at least 1 picture, not {pictures:g}.")
    if not 0 <= correlation <= 1:
        raise UserError(f"The correlation between pictures of an object lies between 0 and 1, not at {correlation:g}.")
    return 1 + (pictures - 1) * correlation


def estimate_clustering(table: pa.Table, strategy: str = "youden") -> dict[bool, Clustering]:
    """Pictures per object and the intraclass correlation of being flagged, from a run's scores.

    Thresholds are chosen at picture level on each fold's threshold partition and applied to its inference partition;
    the mean squares of the analysis of variance are averaged over folds.

    Arguments:
        table: score table, as for `evaluate`.
        strategy: threshold strategy; what counts as flagged is what it rejects.

    Returns:
        By class: True for anomalous objects and their anomalous pictures, False for nominal ones, or, where these are
        too few for an object level, the nominal pictures of all objects.
    """
    scores = prepare_scores(table)
    return {anomalous: _cluster(scores, anomalous, strategy) for anomalous in (True, False)}


def _cluster(scores: Scores, anomalous: bool, strategy: str) -> Clustering:
    squares = []
    members = scores.label == anomalous
    if lack_of_objects(scores) is None:
        members &= scores.object_anomalous[scores.object] == anomalous
    for fold in range(len(scores.folds)):
        here = scores.fold == fold
        threshold = _choose(scores, here & ~scores.judged, strategy)
        rows = here & scores.judged & members
        if threshold is not None and rows.any():
            squares.append(_mean_squares((scores.score[rows] >= threshold).astype(np.float64), scores.object[rows]))
    judged = members & scores.judged
    pictures = np.unique(np.stack((scores.object[judged], scores.image[judged])), axis=1)
    _, sizes = np.unique(pictures[0], return_counts=True)
    usable = np.array([square for square in squares if square[2] > 1])
    correlation = _correlation(*usable.mean(axis=0)) if len(usable) else None
    return Clustering(len(sizes), float((sizes**2).sum() / sizes.sum()), correlation)


def _choose(scores: Scores, rows: np.ndarray, strategy: str) -> float | None:
    parsed = parse_strategy(strategy)
    if parsed.is_given:
        return parsed.given[1]
    ranking = rank_scores(scores.score[rows], np.arange(int(rows.sum())), scores.label[rows])
    cut = int(cut_pairs(parsed, sweep(ranking, np.ones((int(rows.sum()), 1))))[1][0])
    return None if cut < 0 else float(threshold_values(ranking)[cut])


def _mean_squares(value: np.ndarray, owner: np.ndarray) -> tuple[float, float, float]:
    """Mean squares between and within objects, and the mean size that belongs to them; NaN, NaN, 1 if undefined."""
    _, member, sizes = np.unique(owner, return_inverse=True, return_counts=True)
    objects, pictures = len(sizes), len(value)
    if objects < 2 or pictures == objects:
        return np.nan, np.nan, 1.0
    means = np.bincount(member, weights=value) / sizes
    between = float((sizes * (means - value.mean()) ** 2).sum()) / (objects - 1)
    within = float(((value - means[member]) ** 2).sum()) / (pictures - objects)
    return between, within, float(pictures - (sizes**2).sum() / pictures) / (objects - 1)


def _correlation(between: float, within: float, size: float) -> float | None:
    """Share of the variance that lies between objects, in [0, 1], cut off at 0; `None` if nothing varies."""
    whole = between + (size - 1) * within
    if not whole > 0:
        return None
    return float(np.clip((between - within) / whole, 0, 1))
