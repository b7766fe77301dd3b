"""At which size, or in which tiles, do pictures keep their defects? From defect masks, before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from raylab2f.datasets.kept_defects import Defect, kept_at, measure_defects, needed_scales
from raylab2f.detectors.registry import config_from_dict
from raylab2f.errors import UserError
from raylab2f.pitfalls import Caution
from raylab2f.reporting import Display
from raylab2f.runs.data import open_dataset
from raylab2f.runs.folder import DataSettings
from raylab2f.runs.patch_size import PatchFinder

__all__ = ["Advice", "SizeRow", "Suggestion", "advise_sizes"]

_LOW = 0.1
_TILE_STEP, _LEAST_TILE, _OVERLAP_STEP = 16, 32, 8
_BY_EYE = "take pictures in which a defect has more pixels, or choose --layers with a finer map"


@dataclass(frozen=True)
class SizeRow:
    """What the defects of one type, or of all, are at one size.

    Arguments:
        size: height and width of pictures in pixels; `None`: as they were taken.
        patch: height and width in pixels of a patch there; `None`: the detector cannot be made for this size.
        defect_type: `None`: all.
        defects: how many.
        area_median, area_low: of their areas in pixels the median and the 10 % quantile.
        long, large, kept: shares whose longest extent is at least a patch's side, whose area is at least a patch's,
            and both; `None` without a patch.
    """

    size: tuple[int, int] | None
    patch: tuple[float, float] | None
    defect_type: str | None
    defects: int
    area_median: float
    area_low: float
    long: float | None
    large: float | None
    kept: float | None


@dataclass(frozen=True)
class Suggestion:
    """What to do.

    Arguments:
        kind: `size`, `tiles`, or `none`: neither keeps enough defects.
        sentence: for people.
        size: height and width for `--size`.
        tiles: height and width of tiles in pixels of the pictures as they were taken.
        overlap: of tiles, in the same pixels.
    """

    kind: str
    sentence: str
    size: tuple[int, int] | None = None
    tiles: tuple[int, int] | None = None
    overlap: int | None = None


@dataclass(frozen=True)
class Advice:
    """What sizes make of a data set's defects.

    Arguments:
        detector: whose patches count.
        keep: share of the defects that shall stay above one patch.
        masked, unmasked: defective pictures whose mask marks something, and those without such a mask.
        rows: for each size all defects, then each type where there are several.
        suggestion: what to do.
        warnings: of the data.
    """

    detector: str
    keep: float
    masked: int
    unmasked: int
    rows: tuple[SizeRow, ...]
    suggestion: Suggestion
    warnings: tuple[Caution, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        values = {name: getattr(self, name) for name in ("detector", "keep", "masked", "unmasked")}
        return {
            "version": 1,
            **values,
            "rows": [_listed(asdict(row)) for row in self.rows],
            "suggestion": _listed(asdict(self.suggestion)),
            "warnings": [warning.to_dict() for warning in self.warnings],
        }


def advise_sizes(
    settings: DataSettings,
    *,
    detector: str,
    config: dict[str, Any],
    sizes: Sequence[tuple[int, int] | None],
    keep: float,
    fit: str,
    cache: str,
    display: Display,
) -> Advice:
    """Measure the defects that masks show, and look for the smallest size that keeps them, else for tiles.

    Arguments:
        settings: which pictures.
        config: the detector's configuration.
        sizes: heights and widths, smallest first; `None`: as pictures were taken.
        keep: share of the defects that shall stay above one patch.
        fit: `stretch` or `pad`.
        cache: for rendered pictures.

    Raises:
        UserError: the pictures or a mask cannot be read, or no mask marks anything.
    """
    made = config_from_dict(detector, config)
    dataset = open_dataset(settings, cache, display)
    rows = [row for row in dataset.manifest.to_pylist() if row["label"] == 1]
    with display.stage("measure defects") as progress:
        defects = measure_defects(rows, settings.pixel_limit, progress)
    if not defects:
        raise UserError(
            f"no masks: none of the {len(rows)} defective pictures of {dataset.name} has a mask that marks a defect, "
            "so what a size keeps of them is not known; add masks, or look at pictures prepared at each --size."
        )
    find = PatchFinder(detector, made)
    patches = {size: find(made.size if size is None else size) for size in sizes}
    table = tuple(row for size in sizes for row in _rows(defects, size, patches[size], fit))
    own = find(made.size)
    assert own is not None, "a preset can be made for its own size"
    return Advice(
        detector,
        keep,
        len(defects),
        len(rows) - len(defects),
        table,
        _suggestion(defects, table, made.size, own, keep),
        dataset.warnings,
    )


def _rows(
    defects: Sequence[Defect], size: tuple[int, int] | None, patch: tuple[float, float] | None, fit: str
) -> Iterator[SizeRow]:
    kinds = sorted({defect.kind for defect in defects})
    for kind in (None, *(kinds if len(kinds) > 1 else ())):
        own = [defect for defect in defects if kind in (None, defect.kind)]
        kept = kept_at(own, size, patch or (1.0, 1.0), fit=fit)
        shares = (float(part.mean()) for part in (kept.long, kept.large, kept.whole))
        long, large, whole = shares if patch is not None else (None, None, None)
        median, low = (float(np.quantile(kept.areas, share)) for share in (0.5, _LOW))
        yield SizeRow(size, patch, kind, len(own), median, low, long, large, whole)


def _suggestion(
    defects: Sequence[Defect], rows: Sequence[SizeRow], size: tuple[int, int], patch: tuple[float, float], keep: float
) -> Suggestion:
    """The smallest size that keeps enough, else tiles brought to the detector's usual `size`."""
    enough = (r for r in rows if r.size and r.defect_type is None and r.kept is not None and r.kept >= keep)
    if (best := next(enough, None)) is not None and best.size is not None:
        found = f"--size {_text(best.size)} is the smallest of these sizes that keeps {keep:.0%} of the defects"
        return Suggestion("size", f"{found} at one patch or more ({best.kept:.0%}).", size=best.size)
    scale = float(np.quantile(needed_scales(defects, patch), keep, method="higher"))
    tile = int(min(size) / scale) // _TILE_STEP * _TILE_STEP
    smallest = min(min(defect.size) for defect in defects)
    if scale > 1 or tile < _LEAST_TILE:
        native = float(kept_at(defects, None, patch).whole.mean())
        sentence = f"Even as they were taken only {native:.0%} of the defects have at least one patch"
        return Suggestion("none", f"{sentence}; {_BY_EYE}.")
    if tile >= smallest:
        wanted = _text(tuple(math.ceil(side * scale) for side in defects[0].size))
        as_taken = next((row.kept for row in rows if row.size is None and row.defect_type is None), None)
        if as_taken is not None and as_taken >= keep:
            found = f"Of these only pictures as they were taken keep {keep:.0%} of the defects ({as_taken:.0%})"
            return Suggestion("none", f"{found}; look at other sizes, such as --size {wanted}.")
        return Suggestion(
            "none",
            f"None of these sizes keeps {keep:.0%} of the defects; look at larger ones, such as --size {wanted}.",
        )
    longest = float(np.quantile([defect.region.extent() for defect in defects], keep, method="higher"))
    overlap = min(math.ceil(longest / _OVERLAP_STEP) * _OVERLAP_STEP, tile // 2)
    sentence = (
        f"No size of these keeps {keep:.0%} of the defects; tiles do: --tiles {tile}x{tile}+{overlap} --size "
        f"{_text(size)}, cut at the pictures' own resolution."
    )
    return Suggestion("tiles", sentence, size=size, tiles=(tile, tile), overlap=overlap)


def _text(size: Sequence[int]) -> str:
    return "x".join(map(str, size))


def _listed(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
