"""Ranked rows of one fold at one level, and how many of them each cut of the threshold partition flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from raylab2f.evaluation.decisions.curves import Ranking, rank_scores
from raylab2f.evaluation.decisions.object_scores import ObjectScore, aggregate_scores
from raylab2f.evaluation.decisions.thresholds import threshold_values
from raylab2f.evaluation.outcomes.parts import list_parts
from raylab2f.evaluation.scores import Scores

__all__ = ["Cell", "Judged", "Level", "judge_ranking"]


@dataclass(frozen=True)
class Judged:
    """A ranking of inference rows, and how many of its groups each cut of the threshold partition flags.

    Arguments:
        ranking: g rows' groups.
        flagged: (cuts + 1,) groups flagged; the last entry stands for "no threshold".
    """

    ranking: Ranking
    flagged: np.ndarray


@dataclass(frozen=True)
class Cell:
    """One fold at one level.

    Arguments:
        threshold: ranking of the threshold partition.
        values: (cuts + 1,) threshold of each cut of it, then those that are given; the last entry, NaN, stands for "no
            threshold".
        inference: the inference partition, judged at cuts of the threshold partition of this level.
        inference_by_object: the same, judged at cuts of the threshold partition at object level.
        parts: inference rows of each of the level's `Part`s, judged as in `inference` and `inference_by_object`.
    """

    threshold: Ranking
    values: np.ndarray
    inference: Judged
    inference_by_object: Judged
    parts: tuple[tuple[Judged, Judged], ...]


class Level:
    """Rows of one level: pictures, or the objects that they make up."""

    def __init__(
        self, scores: Scores, level: str, object_score: ObjectScore, unit: str, by: Sequence[str] | None
    ) -> None:
        self.scores = scores
        self.by_object = level == "object"
        self.object_score = object_score
        self.owner = scores.object if unit == "object" else scores.image
        self.parts = list_parts(scores, level, by)

    def rank(self, rows: np.ndarray) -> tuple[Ranking, np.ndarray]:
        """Ranking of the given table rows at this level, and of each ranked row the table row or object that it is."""
        scores = self.scores
        if self.by_object:
            owner, score = aggregate_scores(scores.score[rows], scores.object[rows], self.object_score)
            label, which = scores.object_anomalous[owner], owner
        else:
            owner, score, label, which = self.owner[rows], scores.score[rows], scores.label[rows], rows
        ranking = rank_scores(score, owner, label)
        return ranking, which[ranking.row]

    def cell(self, rows: np.ndarray, threshold: Ranking, by_object: Ranking, given: np.ndarray) -> Cell:
        """The fold's cell; `given` are (k,) thresholds that are cuts, too, whatever the threshold partition holds."""
        ranking, which = self.rank(rows)
        own, of_objects = (np.append(threshold_values(one), given) for one in (threshold, by_object))
        parts = []
        for part in self.parts:
            chosen = _restrict(ranking, part.rows[which])
            parts.append((judge_ranking(chosen, own), judge_ranking(chosen, of_objects)))
        values = np.append(own, np.nan)
        return Cell(threshold, values, judge_ranking(ranking, own), judge_ranking(ranking, of_objects), tuple(parts))


def _restrict(ranking: Ranking, rows: np.ndarray) -> Ranking:
    groups, group = np.unique(ranking.group[rows], return_inverse=True)
    return Ranking(ranking.score[groups], group, ranking.owner[rows], ranking.label[rows], ranking.row[rows])


def judge_ranking(ranking: Ranking, values: np.ndarray) -> Judged:
    """How many groups of a ranking each of (cuts,) thresholds flags."""
    flagged = len(ranking.score) - np.searchsorted(ranking.score[::-1], values, side="left")
    return Judged(ranking, np.append(flagged, 0))
