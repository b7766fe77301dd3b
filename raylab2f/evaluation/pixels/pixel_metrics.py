"""How well anomaly maps find the pixels of defects.

`auroc`: area under the ROC curve of pixels. `aupro_30`, `aupro_05`: area under the per-region overlap over the
false-alarm rate up to 0.3 and 0.05, divided by that limit (Bergmann et al., "The MVTec Anomaly Detection Dataset",
IJCV 2021, section 4.1); regions are defect pixels that touch, false alarms are counted over all nominal pixels.
`aupimo`: area under a picture's recall of defect pixels over the logarithm of the false-alarm rate in nominal
pictures from 1e-5 to 1e-4, divided by its width, mean over pictures (Bertoldo et al., "AUPIMO", BMVC 2024).
`peak_in_defect`: how often the highest pixel of a map lies in the defect.

All are means over defect pixels, regions or pictures that false-alarm rates are put to, so objects can be weighted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from raylab2f.evaluation.intervals.bootstrap import CHUNK, weight_blocks
from raylab2f.evaluation.outcomes.means import fold_mean
from raylab2f.seeding import numpy_generator

__all__ = [
    "LEAST_PIMO_PIXELS",
    "PIXEL_METRICS",
    "PixelProblem",
    "build_pixel_problem",
    "judge_pixel_problem",
    "pixel_replicates",
]

PIXEL_METRICS = ("auroc", "aupro_30", "aupro_05", "aupimo", "peak_in_defect")

_PRO_LIMITS = {"aupro_30": 0.3, "aupro_05": 0.05}
_PIMO_RANGE = (1e-5, 1e-4)

# With fewer pixels of nominal pictures, the lowest false-alarm rates of `aupimo` are less than one pixel: the recall
# there depends on how many pixels there are, not on the detector.
LEAST_PIMO_PIXELS = round(1 / _PIMO_RANGE[0])


@dataclass(frozen=True)
class PixelFold:
    """Sums over the pictures of each object in one fold; o objects, g points of the curves.

    Arguments:
        nominal: numbers of the n nominal objects, indices into the weights.
        defective: numbers of the m objects with a mask.
        false_alarms: (n, g) false alarms in pixels in nominal pictures.
        nominal_pixels: (n,) pixels of nominal pictures.
        beside: (m, g) false alarms in pixels beside the defects.
        beside_pixels: (m,) pixels beside the defects.
        hits: (m, g) defect pixels found.
        defect_pixels: (m,) defect pixels.
        overlap: (m, g) sum over regions of the share found.
        regions: (m,) regions.
        recall: (m, g) sum over pictures of the share of defect pixels found.
        peaks: (m,) pictures whose peak lies in the defect.
        pictures: (m,) pictures with a mask.
    """

    nominal: np.ndarray
    defective: np.ndarray
    false_alarms: np.ndarray
    nominal_pixels: np.ndarray
    beside: np.ndarray
    beside_pixels: np.ndarray
    hits: np.ndarray
    defect_pixels: np.ndarray
    overlap: np.ndarray
    regions: np.ndarray
    recall: np.ndarray
    peaks: np.ndarray
    pictures: np.ndarray


@dataclass(frozen=True)
class PixelProblem:
    """Curves of all folds by object.

    Arguments:
        folds: numbers of the folds.
        cells: one entry a fold.
        strata: (objects,) bool, True for objects with a defect mask.
        nominal: objects that the false-alarm rate rests on: those without a defect mask or, where all have one, those
            with a nominal picture.
        unmasked: anomalous pictures that have no mask and are left out.
        anomalous: anomalous pictures, these included.
    """

    folds: tuple[int, ...]
    cells: tuple[PixelFold, ...]
    strata: np.ndarray
    nominal: int
    unmasked: int
    anomalous: int


def build_pixel_problem(pixels: pa.Table) -> PixelProblem | None:
    """Sum the curves of each object's pictures.

    Arguments:
        pixels: tables of `judge_pixels` with the column `fold`, one after the other.

    Returns:
        The problem; `None` for an empty table.
    """
    if not pixels.num_rows:
        return None
    label = pixels["label"].to_numpy() == 1
    counted = np.array(pixels["nominal_pixels"].is_valid())
    images = np.array(pixels["image_id"].to_pylist())
    anomalous = np.unique(images[label])
    unmasked = np.setdiff1d(anomalous, images[label & counted])
    pixels, label = pixels.filter(pa.array(counted)), label[counted]
    names, owner = np.unique(np.array(pixels["object_id"].to_pylist()), return_inverse=True)
    strata = np.bincount(owner, weights=label, minlength=len(names)) > 0
    nominal = int((~strata).sum()) or len(np.unique(owner[~label]))
    fold = pixels["fold"].to_numpy()
    folds = np.unique(fold)
    cells = []
    for number in folds:
        here = np.flatnonzero(fold == number)
        cells.append(_fold(pixels.take(here), owner[here], label[here]))
    return PixelProblem(tuple(folds.tolist()), tuple(cells), strata, nominal, len(unmasked), len(anomalous))


def judge_pixel_problem(problem: PixelProblem, weights: np.ndarray) -> np.ndarray:
    """(metrics, folds, b) values in the order of `PIXEL_METRICS` for (objects, b) weights of the objects."""
    return np.stack([_judge_fold(cell, weights) for cell in problem.cells], axis=1)


def pixel_replicates(problem: PixelProblem, replicates: int, seed: int) -> np.ndarray:
    """(metrics, replicates) means over folds in a bootstrap over objects, as for the other levels."""
    parts = []
    for chunk in range(-(-replicates // CHUNK)):
        rng = numpy_generator(seed, "pixel bootstrap", chunk)
        size = min(CHUNK, replicates - chunk * CHUNK)
        parts += [
            fold_mean(judge_pixel_problem(problem, weights)) for weights in weight_blocks(problem.strata, size, rng)
        ]
    return np.concatenate(parts, axis=1)


def _fold(pixels: pa.Table, owner: np.ndarray, label: np.ndarray) -> PixelFold:
    columns = {
        name: np.nan_to_num(pixels[name].to_numpy().astype(np.float64))
        for name in ("nominal_pixels", "defect_pixels", "regions", "peak_in_defect")
    }
    good, bad = np.flatnonzero(~label), np.flatnonzero(label)
    nominal, nominal_row = np.unique(owner[good], return_inverse=True)
    defective, defective_row = np.unique(owner[bad], return_inverse=True)

    def curves(name: str, rows: np.ndarray) -> np.ndarray:
        return np.array(pixels[name].take(rows).to_pylist(), dtype=np.float64)

    def total(values: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
        sums = np.zeros((count, *values.shape[1:]))
        np.add.at(sums, rows, values)
        return sums

    def of_nominal(values: np.ndarray) -> np.ndarray:
        return total(values, nominal_row, len(nominal))

    def of_defective(values: np.ndarray) -> np.ndarray:
        return total(values, defective_row, len(defective))

    size, beside = columns["nominal_pixels"][good], columns["nominal_pixels"][bad]
    inside, regions = columns["defect_pixels"][bad], columns["regions"][bad]
    hits = curves("hits", bad)
    return PixelFold(
        nominal=nominal,
        defective=defective,
        false_alarms=of_nominal(size[:, None] * curves("false_alarms", good)),
        nominal_pixels=of_nominal(size),
        beside=of_defective(beside[:, None] * curves("false_alarms", bad)),
        beside_pixels=of_defective(beside),
        hits=of_defective(inside[:, None] * hits),
        defect_pixels=of_defective(inside),
        overlap=of_defective(regions[:, None] * curves("overlap", bad)),
        regions=of_defective(regions),
        recall=of_defective(hits),
        peaks=of_defective(columns["peak_in_defect"][bad]),
        pictures=of_defective(np.ones(len(bad))),
    )


def _judge_fold(cell: PixelFold, weights: np.ndarray) -> np.ndarray:
    good, bad = weights[cell.nominal], weights[cell.defective]
    alarms, pixels = cell.false_alarms.T @ good, cell.nominal_pixels @ good
    with np.errstate(invalid="ignore", divide="ignore"):
        rate_nominal = alarms / pixels
        rate = (alarms + cell.beside.T @ bad) / (pixels + cell.beside_pixels @ bad)
        overlap = cell.overlap.T @ bad / (cell.regions @ bad)
        values = {
            "auroc": _area(rate, cell.hits.T @ bad / (cell.defect_pixels @ bad), 0, 1),
            **{name: _area(rate, overlap, 0, limit) / limit for name, limit in _PRO_LIMITS.items()},
            "aupimo": _aupimo(rate_nominal, cell.recall.T @ bad / (cell.pictures @ bad)),
            "peak_in_defect": cell.peaks @ bad / (cell.pictures @ bad),
        }
    # A replicate may have drawn no object of a class that this fold judges.
    valid = (pixels > 0) & (cell.pictures @ bad > 0)
    return np.where(valid, np.stack([values[name] for name in PIXEL_METRICS]), np.nan)


def _aupimo(rate: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """(b,) mean of the recall, interpolated along the false-alarm rate, over the logarithm of that rate."""
    low, high = _PIMO_RANGE
    start, stop, slope = _segments(rate, recall, low, high)
    at_zero = recall[:-1] - slope * rate[:-1]
    return (at_zero * np.log(stop / start) + slope * (stop - start)).sum(axis=0) / np.log(high / low)


def _area(x: np.ndarray, y: np.ndarray, low: float, high: float) -> np.ndarray:
    """(b,) areas from low to high under curves of straight lines between the points (x, y), both (g, b) ascending."""
    start, stop, slope = _segments(x, y, low, high)
    return ((stop - start) * (y[:-1] + slope * ((start + stop) / 2 - x[:-1]))).sum(axis=0)


def _segments(x: np.ndarray, y: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The lines' beginnings and ends within the limits and their slopes, each (g - 1, b)."""
    width = np.diff(x, axis=0)
    slope = np.diff(y, axis=0) / np.where(width > 0, width, 1)
    return np.clip(x[:-1], low, high), np.clip(x[1:], low, high), slope
