"""Leakage: was the detector judged on what it was trained on?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude
from raylab2f.diagnostics.resampling import Estimate, auroc, auroc_difference, resample

__all__ = ["DUPLICATES", "SHARED_OBJECTS", "diagnose_leakage"]

# An object on both sides is a mistake of the split, whatever its effect: not one is allowed.
SHARED_OBJECTS = Bounds(0.0, 0.0, exact=True)
# Near-duplicates under different object names: single pairs happen among many pictures; one in twenty evaluation
# pictures is more than chance, and moves figures by as much as the differences that are published.
DUPLICATES = Bounds(0.0, 0.05, exact=True)

_UNKNOWN_POSES = (
    " This warns at most: among so few pictures without views, different parts in one pose may look the same."
)


def diagnose_leakage(
    splits: Mapping[int, pa.Table], scores: pa.Table, near: pa.Table, *, poses_known: bool = True, seed: int
) -> Finding:
    """Look for objects and for near-duplicate pictures in two partitions of a fold.

    Arguments:
        splits: per fold `image_id`, `object_id`, `partition`.
        scores: `fold`, `image_id`, `object_id`, `label`, `score`, `partition` of the evaluation pictures.
        near: near-duplicate pairs over all pictures: `one`, `other` (image ids), `cosine`, `hash_distance`,
            `agreement`.
        poses_known: of `near_duplicates.poses_known`; if not, near-duplicates only warn.
        seed: of the resampling.
    """
    pairs = list(
        zip(*(near[key].to_pylist() for key in ("one", "other", "cosine", "hash_distance", "agreement")), strict=True)
    )
    rows: list[dict[str, object]] = []
    touched: dict[tuple[int, str], str] = {}
    shared_objects, judged, threshold_too = set(), 0, set()
    for fold, split in splits.items():
        partition = dict(zip(split["image_id"].to_pylist(), split["partition"].to_pylist(), strict=True))
        owner = dict(zip(split["image_id"].to_pylist(), split["object_id"].to_pylist(), strict=True))
        sides: dict[str, set[str]] = {}
        for image_id, side in partition.items():
            sides.setdefault(owner[image_id], set()).add(side)
        evaluation = [image_id for image_id, side in partition.items() if side != "train"]
        judged += len(evaluation)
        for image_id in evaluation:
            if "train" in sides[owner[image_id]]:
                touched[fold, image_id] = "object"
        for name, found in sides.items():
            if "train" in found and len(found) > 1:
                shared_objects.add(name)
                rows.append(_row(fold, "object", name, None, (None, None, None), found))
            elif {"threshold", "inference"} <= found:
                threshold_too.add(name)
                rows.append(_row(fold, "object", name, None, (None, None, None), found))
        for one, other, *near_by in pairs:
            if one not in partition or other not in partition or owner[one] == owner[other]:
                continue
            found = {partition[one], partition[other]}
            if "train" in found and len(found) > 1:
                evaluated = one if partition[one] != "train" else other
                touched.setdefault((fold, evaluated), "duplicate")
                rows.append(_row(fold, "near-duplicate", one, other, near_by, found))
    duplicates = sum(kind == "duplicate" for kind in touched.values())
    shared = len(shared_objects | threshold_too)
    measures = [
        Measure(
            "objects-in-two-partitions",
            Estimate(float(shared)),
            f"{shared} objects have pictures in two partitions of a fold"
            + (f", {len(shared_objects)} of them in training and evaluation." if shared else "."),
            SHARED_OBJECTS,
        ),
        Measure(
            "near-duplicates",
            Estimate(duplicates / max(judged, 1)),
            f"{duplicates} of {judged} evaluation pictures (all folds together) have a near-duplicate of another "
            "object among the training pictures." + ("" if poses_known or not duplicates else _UNKNOWN_POSES),
            DUPLICATES if poses_known else replace(DUPLICATES, fail=None),
        ),
        *_effect(scores, touched, seed),
    ]
    evidence = pa.Table.from_pylist(rows, schema=_EVIDENCE)
    order = [("kind", "descending"), ("cosine", "descending"), ("fold", "ascending")]
    return conclude("leakage", measures, evidence.sort_by(order))


_EVIDENCE = pa.schema(
    [
        ("fold", pa.int64()),
        ("kind", pa.string()),
        ("one", pa.string()),
        ("other", pa.string()),
        ("cosine", pa.float64()),
        ("hash_distance", pa.float64()),
        ("agreement", pa.float64()),
        ("partitions", pa.string()),
    ]
)


def _row(
    fold: int, kind: str, one: str, other: str | None, near_by: Sequence[float | None], sides: set[str]
) -> dict[str, object]:
    return {
        "fold": fold,
        "kind": kind,
        "one": one,
        "other": other,
        "cosine": near_by[0],
        "hash_distance": near_by[1],
        "agreement": near_by[2],
        "partitions": " and ".join(sorted(sides)),
    }


def _effect(scores: pa.Table, touched: Mapping[tuple[int, str], str], seed: int) -> list[Measure]:
    """The AUROC without the evaluation pictures that training knew."""
    if not touched:
        return []
    judged = scores.filter(pa.compute.equal(scores["partition"], "inference"))
    fold, image = np.array(judged["fold"].to_pylist()), judged["image_id"].to_pylist()
    score, label = np.array(judged["score"].to_pylist(), np.float64), np.array(judged["label"].to_pylist())
    known = np.array([(int(f), i) in touched for f, i in zip(fold, image, strict=True)], bool)
    draws = resample(judged["object_id"].to_pylist(), label, seed=seed)
    clean = np.where(known, np.nan, score)
    # Folds in which no good picture is left have no AUROC without them.
    usable = np.isin(fold, [f for f in np.unique(fold) if (~known & (label == 0) & (fold == f)).any()])
    if not (usable & (label == 1)).any():
        sentence = "Every good evaluation picture is touched, so the AUROC without leakage cannot be told."
        return [Measure("auroc-change", Estimate(float("nan")), sentence)]
    before = np.where(usable, score, np.nan)
    change = auroc_difference(draws, before, clean, label, fold)
    left = auroc(draws, clean, label, fold)
    sentence = (
        f"Without the pictures that training knew the AUROC is {left.value:.3f}, {-change.value:+.3f} of what it was."
    )
    return [Measure("auroc-change", change, sentence)]
