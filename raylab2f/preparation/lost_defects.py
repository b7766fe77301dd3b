"""Turned copies of defective pictures whose defect a turn moved out of the frame."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.pitfalls import Caution
from raylab2f.preparation.settings import PreparationSettings
from raylab2f.preparation.shards import SHARD_ROWS, PictureShards
from raylab2f.preparation.views import kept_views

__all__ = ["lost_defects_note"]


def lost_defects_note(pictures: pa.Table, shards: PictureShards, settings: PreparationSettings) -> Caution | None:
    """What the reader of results must know about judged copies that count as defective and show no defect.

    By angles that are no multiple of 90 degrees the frame keeps its size, so that a turned object keeps its own, and
    corners are cut off.

    Arguments:
        pictures: `with_copies` of the data set.
        shards: hold their masks.
        settings: what was asked for.

    Returns:
        A sentence with their number; `None` where every known defect mask has something left.
    """
    judged = {angle for angle in settings.eval_angles if angle % 90}
    kept = None
    if settings.keep_views is not None and settings.keep_views_for != "training":
        kept = kept_views(settings.keep_views, pictures["view"].to_pylist())
    masked = pictures.filter(pc.and_(pc.equal(pictures["label"], 1), pc.is_valid(pictures["mask_path"])))
    source = {
        row["image_id"]: row["source_id"]
        for row in masked.select(["image_id", "source_id", "rotation", "view"]).to_pylist()
        if row["rotation"] in judged and (kept is None or row["view"] in kept)
    }
    empty = _without_defect(shards, sorted(source))
    # A mask that was empty before is no work of the turn.
    lost = len(empty) - len(_without_defect(shards, [source[image_id] for image_id in empty]))
    if not lost:
        return None
    return Caution(
        "RL214",
        f"{lost} of {len(source)} turned copies of defective pictures (with known masks) count as defective though the "
        "turn moved their defect out of the frame; choose multiples of 90 degrees for --eval-angles, or "
        "--centre-embed.",
    )


def _without_defect(shards: PictureShards, image_ids: list[str]) -> list[str]:
    """Those of the pictures whose defect mask is empty; one for each time that it is asked for."""
    empty = []
    for start in range(0, len(image_ids), SHARD_ROWS):
        part = image_ids[start : start + SHARD_ROWS]
        masks = shards.read(part, ["defect"])["defect"]
        empty += [image_id for image_id, mask in zip(part, masks, strict=True) if not mask.any()]
    return empty
