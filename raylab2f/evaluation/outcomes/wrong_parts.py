"""Which parts are judged wrongly, worst first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from raylab2f.evaluation.decisions.object_scores import aggregate_scores, parse_object_score
from raylab2f.evaluation.scores import Scores

__all__ = ["JUDGED_PARTS_SCHEMA", "judged_parts"]

JUDGED_PARTS_SCHEMA = pa.schema(
    [
        ("object_id", pa.string()),
        ("label", pa.int8()),
        ("defect_type", pa.string()),
        ("folds", pa.int32()),
        ("wrong", pa.int32()),
        ("beyond", pa.float64()),
        ("worst_fold", pa.int32()),
    ]
)


def judged_parts(
    scores: Scores,
    thresholds: Mapping[int, float],
    object_score: str = "max",
    low_thresholds: Mapping[int, float] | None = None,
) -> pa.Table:
    """Every part that some fold judged, of `JUDGED_PARTS_SCHEMA`: those that most folds judge wrongly first.

    `folds` is how many folds with a threshold judged the part, `wrong` how many of them wrongly. `beyond` says how
    wrong it looks: for a defective part the share of the fold's good parts that score at least as high, for a good one
    the share of the defective parts that score at most as high; mean over folds, in [0, 1]. `worst_fold` is the fold
    in which that is most, of those that judged wrongly if any did.

    Arguments:
        scores: with objects that are defective or good as a whole.
        thresholds: of object scores, by fold; folds without one are left out.
        object_score: from picture scores to object scores.
        low_thresholds: where a person looks between two, those below which parts are accepted; `None`: the same.
    """
    low_thresholds = low_thresholds or {}
    rule = parse_object_score(object_score)
    found: dict[int, list[tuple[bool, float, int]]] = {}
    for index, fold in enumerate(scores.folds):
        if fold not in thresholds:
            continue
        rows = np.flatnonzero((scores.fold == index) & scores.judged)
        owner, score = aggregate_scores(scores.score[rows], scores.object[rows], rule)
        label = scores.object_anomalous[owner]
        high = thresholds[fold]
        # What a person looks at is not judged wrongly.
        wrong = np.where(label, score < low_thresholds.get(fold, high), score >= high)
        for part, is_wrong, share in zip(owner.tolist(), wrong.tolist(), _beyond(score, label).tolist(), strict=True):
            found.setdefault(part, []).append((is_wrong, share, fold))
    kinds = _defect_types(scores)
    rows_out = []
    for part, judged in found.items():
        worst = max(judged, key=lambda one: (one[0], one[1], -one[2]))
        rows_out.append(
            {
                "object_id": scores.object_names[part],
                "label": int(scores.object_anomalous[part]),
                "defect_type": kinds.get(part),
                "folds": len(judged),
                "wrong": sum(one[0] for one in judged),
                "beyond": float(np.mean([one[1] for one in judged])),
                "worst_fold": worst[2],
            }
        )
    rows_out.sort(key=lambda row: (-row["wrong"] / row["folds"], -row["beyond"], row["object_id"]))
    return pa.Table.from_pylist(rows_out, schema=JUDGED_PARTS_SCHEMA)


def _beyond(score: np.ndarray, label: np.ndarray) -> np.ndarray:
    good, bad = np.sort(score[~label]), np.sort(score[label])
    above = len(good) - np.searchsorted(good, score, side="left")
    below = np.searchsorted(bad, score, side="right")
    return np.where(label, above / max(len(good), 1), below / max(len(bad), 1))


def _defect_types(scores: Scores) -> dict[int, str]:
    """By object, its defects' types."""
    found: dict[int, set[str]] = {}
    for owner, kind in set(zip(scores.object.tolist(), scores.defect.tolist(), strict=True)):
        if kind >= 0:
            found.setdefault(owner, set()).add(scores.defect_types[kind])
    return {owner: "+".join(sorted(kinds)) for owner, kinds in found.items()}
