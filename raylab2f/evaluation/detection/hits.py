"""Hit or miss: in how many of the folds that judged it a defective part, or picture, was found, and its size.

A part is what was sampled. It counts once, whatever the number of its pictures and of the folds that judged it: at
image level its pictures share its weight, and of several folds the share of hits counts, as if all had said the same.
Thresholds are chosen from parts, too, and one that is a little high moves the hits of all parts alike. How much that
and whatever else parts have in common adds is seen in a bootstrap over parts, good ones too, with thresholds chosen
anew (`raylab2f.evaluation.intervals.bootstrap`): see `Hits.effect`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.curves import arrange_weights
from raylab2f.evaluation.decisions.object_scores import ObjectScore, aggregate_scores
from raylab2f.evaluation.decisions.thresholds import Strategy, why_no_threshold
from raylab2f.evaluation.detection.sizes import check_sizes
from raylab2f.evaluation.intervals.bootstrap import object_weights
from raylab2f.evaluation.outcomes.judging import Problem, build_problem, judge
from raylab2f.evaluation.outcomes.metrics import Costs
from raylab2f.evaluation.scores import Scores
from raylab2f.seeding import numpy_generator

__all__ = ["Hits", "count_hits"]

# Replicates at a time, so that memory is bounded.
_BLOCK = 50


@dataclass(frozen=True)
class Hits:
    """Defective parts or pictures of known size that were judged; u of them.

    Arguments:
        size: (u,) above 0.
        share: (u,) of the folds that judged it, those that found it.
        owner: (u,) its part.
        number: (u,) index of its picture or part in the scores.
        drawn: (u, b) how often each replicate of the bootstrap has its part.
        shares: (u, b) `share` with each replicate's thresholds.
        unsized: defective parts or pictures that were judged but have no size.
    """

    size: np.ndarray
    share: np.ndarray
    owner: np.ndarray
    number: np.ndarray
    drawn: np.ndarray
    shares: np.ndarray
    unsized: int

    @property
    def weight(self) -> np.ndarray:
        """(u,) share of its part's weight."""
        pictures = np.bincount(self.owner)
        return 1 / pictures[self.owner]

    @property
    def parts(self) -> int:
        """Number of different parts."""
        return len(np.unique(self.owner))

    def some(self, chosen: np.ndarray) -> Hits:
        """Those that (u,) bool chooses."""
        return Hits(
            size=self.size[chosen],
            share=self.share[chosen],
            owner=self.owner[chosen],
            number=self.number[chosen],
            drawn=self.drawn[chosen],
            shares=self.shares[chosen],
            unsized=0,
        )

    def effect(self, probability: np.ndarray) -> float:
        """Design effect: variance of the number of hits over the bootstrap, as a multiple of that of independent parts.

        At least 1: folds that differ about a part do not make it more than one.

        Arguments:
            probability: (u,) of a hit, by the curve.
        """
        excess = self.weight[:, None] * (self.shares - probability[:, None]) * self.drawn
        independent = float((self.weight * probability * (1 - probability)).sum())
        seen = float(excess.sum(axis=0).var()) if self.drawn.shape[1] else 0.0
        return max(1.0, seen / independent) if independent > 0 else 1.0


def count_hits(
    scores: Scores, strategy: Strategy, object_score: ObjectScore, level: str, *, replicates: int, seed: int
) -> Hits:
    """Judge all folds and count the hits.

    Arguments:
        scores: with sizes.
        strategy: by which thresholds are chosen.
        object_score: from picture scores to object scores.
        level: `object`: parts, of the size of their largest defect; `image`: pictures.
        replicates: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        UserError: sizes that cannot be, no object level, or no threshold.
    """
    size = check_sizes(scores)
    problem = build_problem(scores, (strategy,), object_score, Costs())
    if level not in problem.levels:
        raise UserError(f"--level {level}: {problem.no_object_level}, so that pictures only are judged; give image.")
    if not problem.strategies:
        raise UserError(f"--strategy {strategy.text}: {problem.no_object_level}; choose a strategy on pictures.")
    place = problem.levels.index(level)
    fold, unit, owner, value = _judged(scores, object_score, level)
    order = np.argsort(unit, kind="stable")
    fold, unit, owner, value = fold[order], unit[order], owner[order], value[order]
    number, first = np.unique(unit, return_index=True)
    thresholds = _thresholds(problem, np.ones((len(problem.strata), 1)), place)
    if np.isnan(thresholds).all():
        some = problem.cells[0][level].threshold.label
        reason = why_no_threshold(strategy, int(some.sum()), int((~some).sum()))
        raise UserError(f"--strategy {strategy.text}: no fold has a threshold; {reason[0].lower()}{reason[1:]}")
    share = _shares(value, fold, first, thresholds)[:, 0]
    largest = np.full(max(int(number.max()), int(scores.image.max()), int(scores.object.max())) + 1, -np.inf)
    known = ~np.isnan(size)
    np.maximum.at(largest, (scores.object if level == "object" else scores.image)[known], size[known])
    kept = np.isfinite(largest[number]) & ~np.isnan(share)
    rng = numpy_generator(seed, "detection")
    drawn, shares = [], []
    for start in range(0, replicates, _BLOCK):
        weights = object_weights(problem.strata, min(_BLOCK, replicates - start), rng)
        with np.errstate(invalid="ignore"):
            found = _shares(value, fold, first, _thresholds(problem, weights, place))[kept]
        # Where a replicate gives no threshold, the part is found as often as it was.
        shares.append(np.where(np.isnan(found), share[kept, None], found))
        drawn.append(weights[owner[first][kept]])
    return Hits(
        size=largest[number][kept],
        share=share[kept],
        owner=owner[first][kept],
        number=number[kept],
        drawn=np.concatenate(drawn, axis=1) if drawn else np.empty((int(kept.sum()), 0)),
        shares=np.concatenate(shares, axis=1) if shares else np.empty((int(kept.sum()), 0)),
        unsized=int((~np.isfinite(largest[number])).sum()),
    )


def _judged(
    scores: Scores, object_score: ObjectScore, level: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(r,) fold, part or picture, part, and score of every decision on a defective one."""
    if level == "image":
        rows = np.flatnonzero(scores.judged & scores.label)
        return scores.fold[rows], scores.image[rows], scores.object[rows], scores.score[rows]
    found = []
    for fold in range(len(scores.folds)):
        rows = np.flatnonzero((scores.fold == fold) & scores.judged)
        objects, values = aggregate_scores(scores.score[rows], scores.object[rows], object_score)
        anomalous = scores.object_anomalous[objects]
        found.append((np.full(int(anomalous.sum()), fold), objects[anomalous], values[anomalous]))
    folds, objects, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return folds, objects, objects, values


def _thresholds(problem: Problem, weights: np.ndarray, place: int) -> np.ndarray:
    """(folds, b) thresholds of one level: what is not accepted is found, by a person where there are two."""
    return judge(problem, arrange_weights(weights)).low_thresholds[place, 0]


def _shares(value: np.ndarray, fold: np.ndarray, first: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """(u, b) share of hits among the decisions with a threshold; rows are grouped, `first` (u,) of each group."""
    here = thresholds[fold]
    decided = np.add.reduceat((~np.isnan(here)).astype(float), first, axis=0)
    hits = np.add.reduceat((value[:, None] >= here).astype(float), first, axis=0)
    with np.errstate(invalid="ignore"):
        return hits / np.where(decided > 0, decided, np.nan)
