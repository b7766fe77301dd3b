"""Shift: are the good evaluation pictures drawn like the training ones?

Only pictures that ought to be alike are compared: turned copies and views that never trained are the subject of the
invariance diagnosis.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude, skipped
from raylab2f.diagnostics.resampling import Estimate, mean, resample
from raylab2f.errors import UserError
from raylab2f.evaluation.plans.iid_check import check_iid

__all__ = ["ODD", "SHIFT_P", "diagnose_shift"]

_ODD_QUANTILE = 0.95
# Odder than 95 % of the training pictures ought to be 5 %; three times as many warn, six times as many fail.
ODD = Bounds(0.15, 0.30)
# The two-sample test sees differences too small to matter, so it only warns, at a level that ten folds seldom reach.
SHIFT_P = Bounds(0.01, None, lower_is_worse=True)


def diagnose_shift(
    features: np.ndarray, image_ids: list[str], objects: list[str], splits: Mapping[int, pa.Table], *, seed: int
) -> Finding:
    """Compare good evaluation pictures with training ones, fold by fold.

    Arguments:
        features: (n, d) spatial means of frozen features of nominal pictures that ought to be alike.
        image_ids, objects: (n,) of these pictures.
        splits: per fold `image_id`, `partition`.
        seed: of permutations and resampling.
    """
    name = "shift"
    place = {image_id: row for row, image_id in enumerate(image_ids)}
    owner = np.array(objects)
    p_values, rows = [], []
    for fold, split in splits.items():
        sides: dict[bool, list[int]] = {True: [], False: []}
        for image_id, partition in zip(split["image_id"].to_pylist(), split["partition"].to_pylist(), strict=True):
            if image_id in place:
                sides[partition == "train"].append(place[image_id])
        train, other = np.array(sides[True], np.int64), np.array(sides[False], np.int64)
        if not len(train) or not len(other):
            continue
        try:
            p_values.append(check_iid(features[train], owner[train], features[other], owner[other], seed=seed).p_value)
        except UserError:
            # Fewer than two objects of their own on a side.
            continue
        oddity = _oddity(features[train], owner[train], features[other], owner[other])
        rows += [
            {"fold": fold, "image_id": image_ids[row], "object_id": objects[row], "oddity": float(value)}
            for row, value in zip(other, oddity, strict=True)
        ]
    if not rows:
        return skipped(name, "No fold has good pictures of two objects on either side to compare.")
    table = pa.Table.from_pylist(rows)
    odd = np.array(table["oddity"].to_pylist()) > _ODD_QUANTILE
    draws = resample(table["object_id"].to_pylist(), np.zeros(len(rows)), seed=seed)
    share = mean(draws, odd.astype(np.float64))
    # Twice the median of dependent p-values is a p-value (Meinshausen, Meier, Buehlmann 2009).
    p_value = min(1.0, 2 * float(np.median(p_values)))
    measures = [
        Measure(
            "odd-pictures",
            share,
            f"{share.value:.0%} of the good evaluation pictures are odder than {_ODD_QUANTILE:.0%} of the training "
            f"pictures; {1 - _ODD_QUANTILE:.0%} would be usual.",
            ODD,
        ),
        Measure(
            "two-sample-p",
            Estimate(p_value),
            f"A two-sample test on features tells good evaluation pictures from training ones with p = {p_value:.3g}."
            if p_value < SHIFT_P.warn
            else f"A two-sample test on features finds no difference (p = {p_value:.3g}).",
            SHIFT_P,
        ),
    ]
    return conclude(name, measures, table.sort_by([("oddity", "descending")]))


def _oddity(train: np.ndarray, owner: np.ndarray, other: np.ndarray, other_owner: np.ndarray) -> np.ndarray:
    """(m,) share of the training pictures that are nearer to their nearest neighbour than the other ones to theirs.

    Neighbours are training pictures of another object, so that the number of pictures of an object does not matter.
    """
    centre, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    known, new = (train - centre) / spread, (other - centre) / spread
    usual = _nearest(known, owner, known, owner)
    return np.searchsorted(np.sort(usual), _nearest(new, other_owner, known, owner), side="left") / len(usual)


def _nearest(rows: np.ndarray, owner: np.ndarray, known: np.ndarray, known_owner: np.ndarray) -> np.ndarray:
    norms = (known**2).sum(axis=1)
    nearest = np.empty(len(rows))
    for start in range(0, len(rows), 256):
        part = rows[start : start + 256]
        square = (part**2).sum(axis=1)[:, None] + norms - 2 * part @ known.T
        square[owner[start : start + 256, None] == known_owner[None]] = np.inf
        nearest[start : start + 256] = np.sqrt(np.maximum(square.min(axis=1), 0))
    return nearest
