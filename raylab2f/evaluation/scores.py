"""Scores as the evaluation works on them: arrays, numbered objects, partitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from raylab2f.errors import UserError
from raylab2f.evaluation.plans.random_halves import draw_halves
from raylab2f.evaluation.score_table import check_columns
from raylab2f.files.cells import padded_pairs
from raylab2f.pitfalls import Caution

__all__ = ["Scores", "prepare_scores"]


@dataclass(frozen=True)
class Scores:
    """A checked score table without its training rows; arrays of rows are (n,).

    Objects and pictures are numbered in an order that depends on their labels and on the order of their scores
    only, not on their names or on the order of the rows, so that seeded draws are the same under renaming,
    shuffling and monotone transforms of the scores.

    Arguments:
        folds: numbers of the folds as given.
        fold: index into `folds` of each row.
        judged: True for inference rows, False for threshold rows.
        object: number of each row's object.
        image: number of each row's picture.
        label: True where anomalous.
        score: finite scores.
        defect: index into `defect_types`, -1 for nominal rows or where no types are given.
        defect_types: names.
        object_anomalous: (objects,) True for objects with an anomalous picture.
        image_anomalous: (pictures,) label of each picture.
        object_names: (objects,) what the table calls each object, to match objects between tables.
        image_names: (pictures,) what the table calls each picture.
        groups: (n,) text of the columns `condition`, `view` and `repeat` that the table has, empty where a cell is.
        warnings: what the user should know about the table.
        size: (n,) of the defects, NaN where unknown; `None` where nobody asked.
    """

    folds: tuple[int, ...]
    fold: np.ndarray
    judged: np.ndarray
    object: np.ndarray
    image: np.ndarray
    label: np.ndarray
    score: np.ndarray
    defect: np.ndarray
    defect_types: tuple[str, ...]
    object_anomalous: np.ndarray
    image_anomalous: np.ndarray
    object_names: np.ndarray
    image_names: np.ndarray
    groups: Mapping[str, np.ndarray]
    warnings: tuple[Caution, ...]
    size: np.ndarray | None = None


def prepare_scores(table: pa.Table, *, folds: int = 10, seed: int = 0, size: np.ndarray | None = None) -> Scores:
    """Check a score table and turn it into arrays.

    Arguments:
        table: columns `image_id`, `label` (0 or 1, or a word of `LABEL_WORDS`) and `score`; optional `fold`,
            `object_id`, `partition` (`train`, `threshold` or `inference`), `defect_type`, `condition`, `view` and
            `repeat`. Without `partition`, the objects are split in halves at random, each with pictures of both
            classes: once for each given fold or, without `fold`, `folds` times.
        folds: number of random splits for a table without `partition` and `fold`.
        seed: of these splits.
        size: (rows of the table,) of the defects, for `Scores.size`.

    Raises:
        UserError: anything that makes the figures meaningless, one sentence each.
    """
    given = check_columns(table)
    score, label, image_name, partition = given.score, given.label, given.image, given.partition
    object_name = given.object if given.object is not None else image_name
    fold_number = given.fold if given.fold is not None else np.zeros(len(score), np.int64)
    _refuse_one_class(label)
    _refuse_duplicates(fold_number, image_name)
    _refuse_contradictions(image_name, label, object_name)
    facts = _facts(score, label, fold_number, partition, given.defect)

    if partition is None and given.fold is None:
        if folds < 1:
            raise UserError(f"The number of folds is at least 1, not {folds}.")
        rows = np.tile(np.arange(len(score)), folds)
        fold_number = np.repeat(np.arange(folds), len(score))
    else:
        rows = np.arange(len(score))
    fold_names, fold = np.unique(fold_number, return_inverse=True)
    object_of = _number(object_name, facts)
    # Pictures that look alike may still belong to different objects.
    image_of = _number(image_name, np.column_stack((object_of, facts)))
    if partition is None:
        judged = draw_halves(fold, object_of[rows], label[rows], fold_names, seed)
        trains = np.zeros(len(rows), dtype=bool)
    else:
        judged = partition[rows] == "inference"
        trains = partition[rows] == "train"
    keep = ~trains
    rows, fold, judged = rows[keep], fold[keep], judged[keep]
    # Numbers without gaps, for training rows are gone.
    _, first_row, object_index = np.unique(object_of[rows], return_index=True, return_inverse=True)
    _, first_image, image_index = np.unique(image_of[rows], return_index=True, return_inverse=True)
    defect_types, defect = _defects(given.defect, label, rows)
    scores = Scores(
        folds=tuple(int(name) for name in fold_names),
        fold=fold,
        judged=judged,
        object=object_index,
        image=image_index,
        label=label[rows],
        score=score[rows],
        defect=defect,
        defect_types=defect_types,
        object_anomalous=np.bincount(object_index, weights=label[rows]) > 0,
        image_anomalous=np.bincount(image_index, weights=label[rows]) > 0,
        object_names=object_name[rows][first_row],
        image_names=image_name[rows[first_image]],
        groups={name: values[rows] for name, values in given.groups.items()},
        warnings=(),
        size=None if size is None else size[rows],
    )
    _refuse_meaningless(scores)
    return replace(scores, warnings=(*given.warnings, *_warn_of_objects(given.object), *_warn_of_leaks(scores)))


def _refuse_duplicates(fold: np.ndarray, image: np.ndarray) -> None:
    order = np.lexsort((image, fold))
    same = (image[order][1:] == image[order][:-1]) & (fold[order][1:] == fold[order][:-1])
    if same.any():
        name = image[order][1:][same][0]
        raise UserError(f"The score table lists picture '{name}' more than once in a fold.")


def _refuse_contradictions(image: np.ndarray, label: np.ndarray, owner: np.ndarray) -> None:
    order = np.argsort(image, kind="stable")
    same = image[order][1:] == image[order][:-1]
    for values, word in ((label, "labels"), (owner, "objects")):
        clash = same & (values[order][1:] != values[order][:-1])
        if clash.any():
            raise UserError(f"Picture '{image[order][1:][clash][0]}' has different {word} in different folds.")


def _facts(
    score: np.ndarray, label: np.ndarray, fold: np.ndarray, partition: np.ndarray | None, kinds: np.ndarray | None
) -> np.ndarray:
    """(n, 5) whole numbers that say all about a row but its names; of the score only its rank."""
    blank = np.zeros(len(score), dtype=np.int64)
    place = blank if partition is None else np.unique(partition, return_inverse=True)[1]
    kind = blank if kinds is None else np.unique(kinds, return_inverse=True)[1]
    return np.column_stack((fold, place, label, np.unique(score, return_inverse=True)[1], kind))


def _number(names: np.ndarray, facts: np.ndarray) -> np.ndarray:
    """Number names by the facts of their rows; see `Scores`. (n,) number of each row's name.

    Names are in the order of their rows' facts, as words are of their letters; those with the same facts, by name.
    """
    _, member = np.unique(names, return_inverse=True)
    order = np.lexsort(facts.T[::-1])
    rank = np.empty(len(facts), dtype=np.int64)
    rank[order] = np.cumsum(np.append(False, (facts[order][1:] != facts[order][:-1]).any(axis=1)))
    letters = rank[np.lexsort((rank, member))]
    length = np.bincount(member)
    start = np.cumsum(length) - length
    by_length = np.argsort(length, kind="stable")
    ends = np.cumsum(np.bincount(length))
    # From the last letter to the first, each sorting kept by the next; a word that ends is before those that go on.
    sorted_names = np.empty(0, dtype=np.int64)
    for place in range(len(ends) - 2, -1, -1):
        sorted_names = np.concatenate((by_length[ends[place] : ends[place + 1]], sorted_names))
        sorted_names = sorted_names[np.argsort(letters[start[sorted_names] + place], kind="stable")]
    number = np.empty(len(length), dtype=np.int64)
    number[sorted_names] = np.arange(len(length))
    return number[member]


def _defects(kinds: np.ndarray | None, label: np.ndarray, rows: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    defect = np.full(len(rows), -1, dtype=np.int64)
    if kinds is None or not label.any():
        return (), defect
    typed = label & (kinds != "")
    names = np.unique(kinds[typed])
    defect[typed[rows]] = np.searchsorted(names, kinds[rows][typed[rows]])
    return tuple(str(name) for name in names), defect


def _refuse_one_class(label: np.ndarray) -> None:
    if label.all() or not label.any():
        missing = "nominal" if label.all() else "anomalous"
        raise UserError(f"All pictures have one class: there are no {missing} ones to measure with.")


def _refuse_meaningless(scores: Scores) -> None:
    _refuse_one_class(scores.label)
    for wanted, what in ((True, "anomalous object{s}"), (False, "object{s} with nominal pictures")):
        count = len(np.unique(scores.object[scores.label == wanted]))
        if count < 2:
            raise UserError(
                f"The table has {count} {what.format(s='s' * (count != 1))}; at least 2 are needed to say how sure a "
                "figure is."
            )
    constant = True
    for index, name in enumerate(scores.folds):
        for judged, word in ((False, "threshold"), (True, "inference")):
            here = (scores.fold == index) & (scores.judged == judged)
            if not here.any():
                raise UserError(f"Fold {name} has no {word} rows.")
            constant &= bool(np.ptp(scores.score[here]) == 0)
            if judged and (scores.label[here].all() or not scores.label[here].any()):
                raise UserError(f"The inference partition of fold {name} has pictures of one class only.")
    if constant:
        raise UserError(
            "All scores are equal: the detector does not tell any two pictures apart; look whether "
            "the pictures differ, and change the detector's settings."
        )


def _warn_of_objects(given: np.ndarray | None) -> list[Caution]:
    """`given`: (n,) names of objects; `None` without the column."""
    if given is None:
        return [
            Caution(
                "RL201",
                "The table has no object_id: every picture counts as its own object, so the intervals are too "
                "narrow if several pictures show the same part.",
            )
        ]
    pairs = padded_pairs(given.tolist())
    if not pairs:
        return []
    listed = ", ".join(pairs[:3]) + (f" and {len(pairs) - 3} more" if len(pairs) > 3 else "")
    return [
        Caution(
            "RL201",
            f"Some objects differ only in leading zeros ({listed}) and count as different parts; write each "
            "part's object_id in one way if they are the same.",
        )
    ]


def _warn_of_leaks(scores: Scores) -> list[Caution]:
    leaking = 0
    for index in range(len(scores.folds)):
        rows = scores.fold == index
        leaking += np.intersect1d(scores.object[rows & ~scores.judged], scores.object[rows & scores.judged]).size > 0
    if not leaking:
        return []
    return [
        Caution(
            "RL309",
            f"Objects have pictures in both the threshold and the inference partition in {leaking} of "
            f"{len(scores.folds)} folds: the figures are likely too good; split by object.",
        )
    ]
