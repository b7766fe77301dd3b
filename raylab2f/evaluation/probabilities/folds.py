"""Folds whose threshold partitions fit calibrators, and whose inference partitions judge them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raylab2f.errors import UserError
from raylab2f.evaluation.decisions.curves import Ranking
from raylab2f.evaluation.decisions.object_scores import ObjectScore
from raylab2f.evaluation.outcomes.cells import Level
from raylab2f.evaluation.probabilities.calibrators import CALIBRATORS, Calibrated, at_prevalence
from raylab2f.evaluation.probabilities.reliability import Judged
from raylab2f.evaluation.scores import Scores

__all__ = ["CalibratedFold", "build_folds", "pool"]


@dataclass(frozen=True)
class CalibratedFold:
    """One fold at one level.

    Arguments:
        number: of the fold.
        choosing: ranked rows of the threshold partition.
        judged: ranked rows of the inference partition.
        which: (n,) of each judged row the table's row, or the object that it is.
    """

    number: int
    choosing: Ranking
    judged: Ranking
    which: np.ndarray

    def probabilities(self, calibrator: str, weights: np.ndarray, prevalence: float | None) -> tuple[Calibrated, float]:
        """Probabilities of the judged rows, fitted on the threshold partition, and the share that they hold for.

        Arguments:
            calibrator: key of `CALIBRATORS`.
            weights: (objects,) how often each counts.
            prevalence: share of defective parts to move to; `None`: that of the threshold partition.

        Returns:
            NaN throughout where the weights leave no row of a class.
        """
        ranking = self.choosing
        weight = weights[ranking.owner]
        total = np.bincount(ranking.group, weights=weight, minlength=len(ranking.score))[::-1]
        positive = np.bincount(ranking.group, weights=weight * ranking.label, minlength=len(ranking.score))[::-1]
        share = float(positive.sum() / max(total.sum(), 1e-300))
        rows = len(self.judged.label)
        if not 0 < share < 1:
            nothing = np.full(rows, np.nan)
            return Calibrated(nothing, nothing, nothing), np.nan
        drawn = total > 0
        found = CALIBRATORS[calibrator](
            ranking.score[::-1][drawn], positive[drawn], total[drawn], self.judged.score[::-1]
        )
        if prevalence is not None:
            found = at_prevalence(found, share, prevalence)
        of_row = len(self.judged.score) - 1 - self.judged.group
        return (
            Calibrated(found.value[of_row], found.low[of_row], found.high[of_row]),
            share if prevalence is None else prevalence,
        )

    def judge(self, probability: np.ndarray, share: float, weights: np.ndarray) -> Judged | None:
        """The judged rows, weighted so that a share of them is defective; `None` where a class is missing."""
        ranking = self.judged
        weight = weights[ranking.owner]
        defective = float(weight @ ranking.label)
        good = float(weight.sum()) - defective
        if np.isnan(share) or defective <= 0 or good <= 0:
            return None
        weight = weight * np.where(ranking.label, share / defective, (1 - share) / good)
        return Judged(probability, ranking.label.astype(np.float64), weight, ranking.owner)


def build_folds(scores: Scores, level: str, rule: ObjectScore) -> tuple[CalibratedFold, ...]:
    """The folds of a level, `image` or `object`.

    Raises:
        UserError: a threshold partition has pictures of one class only, from which no probability can be learnt.
    """
    side = Level(scores, level, rule, "object", ())
    folds = []
    for index, number in enumerate(scores.folds):
        here = scores.fold == index
        choosing, _ = side.rank(np.flatnonzero(here & ~scores.judged))
        judged, which = side.rank(np.flatnonzero(here & scores.judged))
        if choosing.label.all() or not choosing.label.any():
            missing = "good" if choosing.label.all() else "defective"
            raise UserError(
                f"--probabilities: the threshold partition of fold {number} has no {missing} pictures, so it does not "
                "say how likely a score is of a defective part; leave the option out, or add some there."
            )
        folds.append(CalibratedFold(number, choosing, judged, which))
    return tuple(folds)


def pool(judged: list[Judged]) -> Judged:
    """Folds together, each of the same weight."""
    return Judged(
        probability=np.concatenate([one.probability for one in judged]),
        label=np.concatenate([one.label for one in judged]),
        weight=np.concatenate([one.weight for one in judged]) / len(judged),
        owner=np.concatenate([one.owner for one in judged]),
    )
