"""Which prepared pictures train and which are judged: turned copies and views within the partitions of a fold plan.

A fold plan places objects. The copies of a picture belong to its object and so to its partition; here is decided which
of them take part.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.datasets.entries import refuse_duplicates
from raylab2f.errors import UserError
from raylab2f.pitfalls import Caution
from raylab2f.preparation.settings import PreparationSettings
from raylab2f.preparation.views import kept_views

__all__ = ["copy_id", "select_pictures", "view_note", "with_copies"]


def copy_id(image_id: str, angle: float) -> str:
    """The id of a turned copy, such as `part7/front.png@rot90`; 0 is the picture itself."""
    return image_id if angle % 360 == 0 else f"{image_id}@rot{angle:g}"


def with_copies(manifest: pa.Table, angles: tuple[float, ...]) -> pa.Table:
    """The manifest with a row for each prepared picture, sorted by `image_id`.

    Arguments:
        manifest: of the data set.
        angles: degrees of the turned copies of every picture, without 0.

    Returns:
        The manifest's columns and two more: `rotation` (float64, degrees; 0 for a picture as it is) and `source_id`,
        the `image_id` of the picture that a copy was made from. Copies have their source's object, label, view and
        files.

    Raises:
        UserError: a picture of the data set has the id of a copy already.
    """
    plain = manifest.append_column("source_id", manifest["image_id"])
    place = plain.column_names.index("image_id")
    tables = []
    for angle in (0.0, *angles):
        ids = pa.array([copy_id(image_id, angle) for image_id in manifest["image_id"].to_pylist()], pa.string())
        rotation = pa.array([float(angle)] * manifest.num_rows, pa.float64())
        tables.append(
            plain.set_column(place, manifest.schema.field("image_id"), ids).append_column("rotation", rotation)
        )
    rows = pa.concat_tables(tables)
    refuse_duplicates(rows["image_id"].to_pylist(), "rotated copies")
    return rows.sort_by("image_id")


def select_pictures(
    split: pa.Table, pictures: pa.Table, settings: PreparationSettings, *, judges: bool = True
) -> pa.Table:
    """The rows of a fold: each partition's pictures at the angles and in the views that were asked for it.

    Arguments:
        split: a fold plan over the pictures as they are: `image_id`, `object_id`, `partition`.
        pictures: `with_copies` of the data set's manifest.
        settings: what was asked for.
        judges: whether good and defective pictures must be left to choose a threshold and to judge.

    Returns:
        A table of the split's schema, sorted by `image_id`.

    Raises:
        UserError: the views kept leave a partition without pictures, or judge only one class.
    """
    partition_of = dict(zip(split["image_id"].to_pylist(), split["partition"].to_pylist(), strict=True))
    kept = None if settings.keep_views is None else kept_views(settings.keep_views, pictures["view"].to_pylist())
    rows, labels = [], []
    columns = ["image_id", "object_id", "source_id", "rotation", "view", "label"]
    for row in pictures.select(columns).to_pylist():
        partition = partition_of.get(row["source_id"])
        if partition is None:
            continue
        trains = partition == "train"
        restricted = settings.keep_views_for in ("both", "training" if trains else "evaluation")
        if kept is not None and restricted and row["view"] not in kept:
            continue
        if row["rotation"] in (settings.train_angles if trains else settings.eval_angles):
            rows.append({name: row[name] for name in ("image_id", "object_id")} | {"partition": partition})
            labels.append((partition, row["label"]))
    if kept is not None and judges:
        _require_all_sides(set(labels), settings)
    return pa.Table.from_pylist(rows, schema=split.schema).sort_by("image_id")


def view_note(pictures: pa.Table, settings: PreparationSettings) -> Caution | None:
    """What every result of a run with restricted views must say; `None` where all are kept.

    Arguments:
        pictures: the data set's manifest.
    """
    if settings.keep_views is None:
        return None
    kept = kept_views(settings.keep_views, pictures["view"].to_pylist())
    is_kept = pc.is_in(pictures["view"], pa.array(sorted(kept)))
    share = f"{pc.sum(is_kept).as_py()} of {pictures.num_rows} pictures"
    where = {"both": "training and evaluation"}.get(settings.keep_views_for, settings.keep_views_for)
    note = (
        f"Views were restricted to {settings.keep_views} in {where} ({share}), which makes the problem easier: the "
        "figures hold for parts presented in these views only."
    )
    if settings.keep_views_for == "training":
        return Caution(
            "RL212",
            f"Views were restricted to {settings.keep_views} in {where} ({share}): the detector is judged on views "
            "that it has never seen.",
        )
    anomalous = pictures.filter(pc.equal(pictures["label"], 1))
    seen = set(anomalous.filter(pc.is_in(anomalous["view"], pa.array(sorted(kept))))["object_id"].to_pylist())
    hidden = set(anomalous["object_id"].to_pylist()) - seen
    if hidden:
        note += f" {len(hidden)} defective parts show their defect only in other views and do not count as defective."
    return Caution("RL212", note)


def _require_all_sides(found: set[tuple[str, int]], settings: PreparationSettings) -> None:
    needed = {("train", 0): "nominal pictures to train on"}
    for partition in ("threshold", "inference"):
        for label, word in enumerate(("nominal", "anomalous")):
            needed[partition, label] = f"{word} pictures in the {partition} partition"
    for key, words in needed.items():
        if key not in found:
            raise UserError(f"--keep-views {settings.keep_views}: leaves no {words}; keep more views.")
