"""Ranked rows of one fold at one level, and how many of them each cut of the threshold partition flags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raylab2f.evaluation.decisions.curves import Ranking, rank_scores
from raylab2f.evaluation.decisions.object_scores import ObjectScore, aggregate_scores
from raylab2f.evaluation.decisions.thresholds import threshold_values
from raylab2f.evaluation.scores import Scores

__all__ = ["Cell", "Judged", "Level"]


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
        inference: the inference partition, judged at cuts of the threshold partition of this level.
        inference_by_object: the same, judged at cuts of the threshold partition at object level.
        by_type: anomalous inference rows of each defect type, judged as in `inference` and `inference_by_object`.
    """

    threshold: Ranking
    inference: Judged
    inference_by_object: Judged
    by_type: tuple[tuple[Judged, Judged], ...]


class Level:
    """Rows of one level: pictures, or the objects that they make up."""

    def __init__(self, scores: Scores, level: str, object_score: ObjectScore, unit: str) -> None:
        self.scores = scores
        self.by_object = level == "object"
        self.object_score = object_score
        self.owner = scores.object if unit == "object" else scores.image
        self.types, self.type_of = _object_types(scores) if self.by_object else (scores.defect_types, scores.defect)

    def rank(self, rows: np.ndarray) -> tuple[Ranking, np.ndarray]:
        """Ranking of the given table rows at this level and the defect type of each ranked row."""
        scores = self.scores
        if self.by_object:
            owner, score = aggregate_scores(scores.score[rows], scores.object[rows], self.object_score)
            label, kind = scores.object_anomalous[owner], self.type_of[owner]
        else:
            owner, score, label, kind = self.owner[rows], scores.score[rows], scores.label[rows], self.type_of[rows]
        ranking = rank_scores(score, owner, label)
        return ranking, kind[ranking.row]

    def cell(self, rows: np.ndarray, threshold: Ranking, by_object: Ranking) -> Cell:
        ranking, kind = self.rank(rows)
        by_type = []
        for number in range(len(self.types)):
            part = _restrict(ranking, kind == number)
            by_type.append((_judged(part, threshold), _judged(part, by_object)))
        return Cell(threshold, _judged(ranking, threshold), _judged(ranking, by_object), tuple(by_type))


def _object_types(scores: Scores) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the objects' defect types (joined where an object has several) and (objects,) index of each."""
    found: list[set[int]] = [set() for _ in scores.object_anomalous]
    for owner, kind in set(zip(scores.object.tolist(), scores.defect.tolist(), strict=True)):
        if kind >= 0:
            found[owner].add(kind)
    joined = ["+".join(scores.defect_types[kind] for kind in sorted(kinds)) for kinds in found]
    names = sorted(set(joined) - {""})
    return tuple(names), np.array([names.index(name) if name else -1 for name in joined])


def _restrict(ranking: Ranking, rows: np.ndarray) -> Ranking:
    groups, group = np.unique(ranking.group[rows], return_inverse=True)
    return Ranking(ranking.score[groups], group, ranking.owner[rows], ranking.label[rows], ranking.row[rows])


def _judged(ranking: Ranking, threshold: Ranking) -> Judged:
    values = threshold_values(threshold)
    flagged = len(ranking.score) - np.searchsorted(ranking.score[::-1], values, side="left")
    return Judged(ranking, np.append(flagged, 0))
