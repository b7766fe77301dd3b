"""A run whose pictures are brought to a size at which most defects are smaller than a patch is told so (RL222)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raylab2f.datasets.kept_defects import kept_at, measure_defects
from raylab2f.pitfalls import Caution
from raylab2f.preparation import Preparation
from raylab2f.runs.patch_size import patch_of

__all__ = ["small_defects_cautions"]

# So many masks say it; more would take time.
_MOST = 200
_SHARE = 0.5


def small_defects_cautions(
    manifest: pa.Table, preparation: Preparation, shapes: Sequence[tuple[int, int, int]], pixel_limit: int | None = None
) -> list[Caution]:
    """What is said where more than half of the defects that masks show are smaller than a patch.

    Arguments:
        manifest: the data set; of more than 200 masks as many are looked at, evenly spread.
        preparation: what is done to its pictures.
        shapes: (C, H, W) of the maps that the detector reads of them.
        pixel_limit: most pixels a mask may have.
    """
    masked = manifest.filter(pc.and_(pc.equal(manifest["label"], 1), pc.is_valid(manifest["mask_path"])))
    places = np.unique(np.linspace(0, masked.num_rows - 1, min(_MOST, masked.num_rows)).round().astype(int))
    defects = measure_defects(masked.sort_by("image_id").take(places).to_pylist(), pixel_limit)
    if not defects or not shapes:
        return []
    size = preparation.size
    patch = patch_of(size, shapes)
    tiling = preparation.tiling
    # Of what is brought to the size: a tile, an object's surroundings, or the whole picture.
    seen = preparation.canvas if tiling is None else (tiling.height, tiling.width)
    kept = kept_at(defects, size, patch, fit=preparation.fit, canvas=seen)
    lost = int((~kept.whole).sum())
    if lost <= _SHARE * len(defects):
        return []
    tiled = "" if tiling is None else f"--tiles {tiling} and "
    sentence = (
        f"At {tiled}--size {size[0]}x{size[1]} {lost} of {len(defects)} defects that masks show are smaller than "
        f"one patch of the detector ({patch[0]:.3g} x {patch[1]:.3g} pixels); raylab2f advise names a "
        "--size that keeps them."
    )
    return [Caution("RL222", sentence)]
