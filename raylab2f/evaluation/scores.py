"""Score tables: reading them, checking them, and the arrays that the evaluation works on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from raylab2f.errors import UserError
from raylab2f.evaluation.plans.whole_objects import draw_objects
from raylab2f.files.parquet import read_parquet
from raylab2f.pitfalls import Caution
from raylab2f.seeding import numpy_generator

__all__ = ["Scores", "prepare_scores", "read_labels", "read_scores"]

_REQUIRED = ("image_id", "label", "score")
_PARTITIONS = ("train", "threshold", "inference")


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
        warnings: what the user should know about the table.
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
    warnings: tuple[Caution, ...]


def read_scores(path: str | Path) -> pa.Table:
    """Read a score table from Parquet or, for names ending in `.csv`, from CSV.

    Raises:
        UserError: the file is missing or not what its name says.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no score table at '{path}'.")
    try:
        if path.suffix.lower() == ".csv":
            # Ids stay text even where they look like numbers.
            types = {name: pa.string() for name in ("image_id", "object_id", "defect_type", "partition")}
            return pacsv.read_csv(path, convert_options=pacsv.ConvertOptions(column_types=types))
        return read_parquet(path)
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"'{path}' cannot be read as a score table (Parquet or CSV): {reason}.") from error


def prepare_scores(table: pa.Table, *, folds: int = 10, seed: int = 0) -> Scores:
    """Check a score table and turn it into arrays.

    Arguments:
        table: columns `image_id`, `label` (0 or 1) and `score`; optional `fold`, `object_id`, `partition`
            (`train`, `threshold` or `inference`) and `defect_type`. Without `partition`, the objects are split
            in halves at random: once for each given fold or, without `fold`, `folds` times.
        folds: number of random splits for a table without `partition` and `fold`.
        seed: of these splits.

    Raises:
        UserError: anything that makes the figures meaningless, one sentence each.
    """
    warnings: list[Caution] = []
    _require_columns(table)
    score = _column_scores(table)
    label = read_labels(table)
    image_name = _column_names(table, "image_id")
    if "object_id" in table.column_names:
        object_name = _column_names(table, "object_id")
    else:
        object_name = image_name
        warnings.append(
            Caution(
                "RL201",
                "The table has no object_id: every picture counts as its own object, so the intervals are too "
                "narrow if several pictures show the same part.",
            )
        )
    fold_number = _column_folds(table)
    columns = [fold_number if fold_number is not None else np.zeros(len(score), np.int64), image_name]
    partition = _column_partition(table)
    _refuse_duplicates(columns[0], image_name)
    _refuse_contradictions(image_name, label, object_name)
    kinds = _column_text(table, "defect_type") if "defect_type" in table.column_names else None

    if partition is None and fold_number is None:
        if folds < 1:
            raise UserError(f"The number of folds is at least 1, not {folds}.")
        rows = np.tile(np.arange(len(score)), folds)
        fold_number = np.repeat(np.arange(folds), len(score))
    else:
        rows = np.arange(len(score))
        fold_number = columns[0]
    fold_names, fold = np.unique(fold_number, return_inverse=True)
    facts = _facts(score, label, columns[0], partition, kinds)
    object_of = _number(object_name, facts)
    # Pictures that look alike may still belong to different objects.
    image_of = _number(image_name, np.column_stack((object_of, facts)))
    if partition is None:
        anomalous = np.bincount(object_of, weights=label) > 0
        judged = _draw_partitions(fold, object_of[rows], anomalous, fold_names, seed)
        trains = np.zeros(len(rows), dtype=bool)
    else:
        judged = partition[rows] == "inference"
        trains = partition[rows] == "train"
    keep = ~trains
    rows, fold, judged = rows[keep], fold[keep], judged[keep]
    # Numbers without gaps, for training rows are gone.
    _, first_row, object_index = np.unique(object_of[rows], return_index=True, return_inverse=True)
    _, image_index = np.unique(image_of[rows], return_inverse=True)
    defect_types, defect = _defects(kinds, label, rows)
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
        warnings=(),
    )
    _refuse_meaningless(scores)
    return replace(scores, warnings=(*warnings, *_warn_of_leaks(scores)))


def read_labels(table: pa.Table) -> np.ndarray:
    """(n,) bool, True where anomalous; the column `label` may hold whole numbers, decimals or truth values.

    Raises:
        UserError: anything else than 0 and 1.
    """
    values = table["label"].combine_chunks()
    kind = values.type
    if pa.types.is_boolean(kind):
        return values.to_numpy(zero_copy_only=False).astype(bool)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        label = values.to_numpy(zero_copy_only=False)
        if np.isin(label, (0, 1)).all():
            return label.astype(bool)
    found = ", ".join(str(value) for value in sorted(map(str, values.unique().to_pylist()))[:5])
    raise UserError(f"Labels are 0 (nominal) or 1 (anomalous); the score table has {found}.")


def _require_columns(table: pa.Table) -> None:
    missing = [name for name in _REQUIRED if name not in table.column_names]
    if missing:
        raise UserError(
            f"The score table lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"it has {', '.join(table.column_names) or 'none'}."
        )
    if table.num_rows == 0:
        raise UserError("The score table is empty.")
    for name in (*_REQUIRED, "object_id", "fold", "partition"):
        if name in table.column_names and table[name].null_count:
            raise UserError(f"The column {name} of the score table has {table[name].null_count} missing values.")


def _column_text(table: pa.Table, name: str) -> np.ndarray:
    values = table[name].combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type) or pa.types.is_nested(values.type):
        raise UserError(f"The column {name} of the score table holds {values.type}, not text.")
    return np.array(pc.fill_null(values.cast(pa.string()), "").to_pylist(), dtype=str)


def _column_names(table: pa.Table, name: str) -> np.ndarray:
    # The empty cells of a CSV file come as empty text; together they would be one object.
    names = _column_text(table, name)
    blank = int((np.char.strip(names) == "").sum())
    if blank:
        mend = "every picture needs a name" if name == "image_id" else "fill them in, or leave the column out"
        raise UserError(f"The column {name} of the score table is empty in {blank} of {len(names)} rows; {mend}.")
    return names


def _column_scores(table: pa.Table) -> np.ndarray:
    kind = table["score"].type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise UserError(f"The column score of the score table holds {kind}, not numbers.")
    score = table["score"].to_numpy().astype(np.float64)
    bad = int((~np.isfinite(score)).sum())
    if bad:
        raise UserError(f"{bad} scores are NaN or infinite; every picture needs a finite score.")
    # Minus zero and zero are one score.
    return score + 0.0


def _column_folds(table: pa.Table) -> np.ndarray | None:
    if "fold" not in table.column_names:
        return None
    if not pa.types.is_integer(table["fold"].type):
        raise UserError(f"The column fold of the score table holds {table['fold'].type}, not whole numbers.")
    return table["fold"].to_numpy().astype(np.int64)


def _column_partition(table: pa.Table) -> np.ndarray | None:
    if "partition" not in table.column_names:
        return None
    partition = _column_text(table, "partition")
    unknown = sorted(set(partition) - set(_PARTITIONS))
    if unknown:
        raise UserError(f"Unknown partition '{unknown[0]}'; partitions are {', '.join(_PARTITIONS)}.")
    return partition


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
    """Number names by the facts of their rows; see `Scores`. (n,) number of each row's name."""
    _, member = np.unique(names, return_inverse=True)
    content: list[list[list[int]]] = [[] for _ in range(int(member.max()) + 1)]
    order = np.lexsort(facts.T[::-1])
    for owner, row in zip(member[order].tolist(), facts[order].tolist(), strict=True):
        content[owner].append(row)
    number = np.empty(len(content), dtype=np.int64)
    number[sorted(range(len(content)), key=content.__getitem__)] = np.arange(len(content))
    return number[member]


def _draw_partitions(
    fold: np.ndarray, owner: np.ndarray, anomalous: np.ndarray, names: np.ndarray, seed: int
) -> np.ndarray:
    """Split each fold's objects in halves alike in pictures, each class for itself."""
    judged = np.zeros(len(fold), dtype=bool)
    for index, name in enumerate(names):
        rng = numpy_generator(seed, "partition", int(name))
        rows = np.flatnonzero(fold == index)
        objects, sizes = np.unique(owner[rows], return_counts=True)
        for is_anomalous, word in ((True, "anomalous"), (False, "nominal")):
            chosen = anomalous[objects] == is_anomalous
            members, counts = objects[chosen], sizes[chosen]
            if len(members) < 2:
                raise UserError(
                    f"Fold {name} has {len(members)} {word} object{'s' * (len(members) != 1)}; at least 2 are "
                    "needed, one to choose the threshold and one to judge."
                )
            half = members[draw_objects(counts, counts.sum() / 2, rng)]
            judged[rows[np.isin(owner[rows], half)]] = True
    return judged


def _defects(kinds: np.ndarray | None, label: np.ndarray, rows: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    defect = np.full(len(rows), -1, dtype=np.int64)
    if kinds is None or not label.any():
        return (), defect
    names = np.unique(kinds[label])
    anomalous = label[rows]
    defect[anomalous] = np.searchsorted(names, kinds[rows][anomalous])
    return tuple(str(name) for name in names), defect


def _refuse_meaningless(scores: Scores) -> None:
    if scores.label.all() or not scores.label.any():
        missing = "nominal" if scores.label.all() else "anomalous"
        raise UserError(f"All pictures have one class: there are no {missing} ones to measure with.")
    for wanted, word in ((True, "anomalous"), (False, "nominal")):
        count = int((scores.object_anomalous == wanted).sum())
        if count < 2:
            raise UserError(
                f"The table has {count} {word} object{'s' * (count != 1)}; at least 2 are needed to say how sure a "
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
        raise UserError("All scores are equal: the detector does not tell any two pictures apart.")


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
