"""Rows of a summary for the level `pixel`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from raylab2f.evaluation.cautions import FEW_OBJECTS
from raylab2f.evaluation.estimates import EstimateRow, estimate_rows, metrics_table
from raylab2f.evaluation.intervals.bootstrap import CHUNK, weight_blocks
from raylab2f.evaluation.intervals.methods import (
    Ends,
    corrected_t_interval,
    deviation_interval,
    naive_t_interval,
    percentile_interval,
)
from raylab2f.evaluation.outcomes.judging import ANY_STRATEGY, Estimate
from raylab2f.evaluation.outcomes.means import fold_mean
from raylab2f.evaluation.pixels.pixel_metrics import (
    LEAST_PIMO_PIXELS,
    PIXEL_METRICS,
    PixelProblem,
    build_pixel_problem,
    judge_pixel_problem,
    pixel_replicates,
)
from raylab2f.evaluation.pixels.segmentation import (
    SEGMENTATION_METRICS,
    build_segmentation_problem,
    judge_segmentation_problem,
)
from raylab2f.pitfalls import Caution
from raylab2f.seeding import numpy_generator

__all__ = ["PixelLevel", "judge_pixel_level"]


@dataclass(frozen=True)
class PixelLevel:
    """What a summary says of pixels: its rows, the values of every fold and warnings."""

    estimates: tuple[EstimateRow, ...] = ()
    metrics: pa.Table | None = None
    warnings: tuple[Caution, ...] = ()


def judge_pixel_level(
    pixels: pa.Table | None,
    segmentation: pa.Table | None = None,
    *,
    ratio: float,
    methods: Sequence[str],
    default: str,
    confidence: float,
    replicates: int,
    seed: int,
) -> PixelLevel:
    """Estimate all pixel metrics with the intervals that apply to them.

    `aupimo` has no value where a fold judges fewer than `LEAST_PIMO_PIXELS` pixels of nominal pictures.

    Arguments:
        pixels: tables of `judge_pixels` with the column `fold`; `None` or without rows: nothing is said.
        segmentation: tables of `judge_segmentation` with the column `fold`; `None` or without rows: nothing is said of
            SegF1, as for runs of before.
        ratio: of the corrected t, see `corrected_t_interval`.
        methods: names of `INTERVALS`; those that need thresholds or counts of objects do not apply.
        default: the method asked for.
        confidence, replicates, seed: as in `evaluate`.
    """
    problem = build_pixel_problem(pixels) if pixels is not None else None
    if problem is None:
        return PixelLevel()
    estimates = [Estimate(ANY_STRATEGY, "pixel", metric) for metric in PIXEL_METRICS]
    values = judge_pixel_problem(problem, np.ones((len(problem.strata), 1)))[:, :, 0]
    if _fewest_nominal_pixels(problem) < LEAST_PIMO_PIXELS:
        values[PIXEL_METRICS.index("aupimo")] = np.nan
    means, none = fold_mean(values[:, :, None])[:, 0], np.full(values.shape, np.nan)
    share = np.array([metric == "peak_in_defect" for metric in PIXEL_METRICS])
    drawn = partial(pixel_replicates, problem, replicates, seed)
    objects = float(problem.strata.sum()), float(problem.nominal)
    ends = _ends(drawn, problem.strata, objects, share, values, means, ratio, methods, confidence)
    rows = estimate_rows(estimates, values, means, ends, default, confidence)
    table = metrics_table(problem.folds, estimates, values, none, none)
    if segmentation is not None and segmentation.num_rows:
        cut = build_segmentation_problem(segmentation)
        estimates = [Estimate(ANY_STRATEGY, "pixel", metric) for metric in SEGMENTATION_METRICS]
        values = judge_segmentation_problem(cut, np.ones((len(cut.strata), 1)))[:, :, 0]
        means, none = fold_mean(values[:, :, None])[:, 0], np.full(values.shape, np.nan)
        drawn = partial(_replicates, partial(judge_segmentation_problem, cut), cut.strata, replicates, seed)
        objects = float(cut.judged[0]), float(cut.judged[1])
        share, classes = np.zeros(len(means), dtype=bool), np.repeat([True, False], cut.judged)
        ends = _ends(drawn, classes, objects, share, values, means, ratio, methods, confidence)
        rows += estimate_rows(estimates, values, means, ends, default, confidence)
        table = pa.concat_tables((table, metrics_table(cut.folds, estimates, values, none, none)))
    return PixelLevel(rows, table, tuple(_find_cautions(problem)))


def _fewest_nominal_pixels(problem: PixelProblem) -> int:
    return min(int(cell.nominal_pixels.sum()) for cell in problem.cells)


def _find_cautions(problem: PixelProblem) -> list[Caution]:
    found = []
    if problem.unmasked:
        found.append(
            Caution(
                "RL311",
                f"{problem.unmasked} of {problem.anomalous} anomalous pictures have no defect mask; pixel metrics rest "
                "on "
                "the others.",
            )
        )
    masked, nominal = int(problem.strata.sum()), problem.nominal
    if min(masked, nominal) < FEW_OBJECTS:
        found.append(
            Caution(
                "RL311",
                f"Pixel metrics rest on {masked} anomalous object{'s' * (masked != 1)} with a defect mask and "
                f"{nominal} "
                f"nominal one{'s' * (nominal != 1)}; with fewer than {FEW_OBJECTS} of either their intervals may be "
                "too "
                "narrow.",
            )
        )
    fewest = _fewest_nominal_pixels(problem)
    if fewest < LEAST_PIMO_PIXELS:
        found.append(
            Caution(
                "RL311",
                f"aupimo is left out: it needs {LEAST_PIMO_PIXELS:,} pixels of nominal pictures in every fold to see a "
                f"false-alarm rate of 1e-5, and one has {fewest:,}.",
            )
        )
    return found


def _replicates(
    judge: Callable[[np.ndarray], np.ndarray], strata: np.ndarray, replicates: int, seed: int
) -> np.ndarray:
    """(metrics, replicates) means over folds in a bootstrap over objects."""
    rng = numpy_generator(seed, "segmentation bootstrap")
    blocks = (weights for size in _sizes(replicates) for weights in weight_blocks(strata, size, rng))
    return np.concatenate([fold_mean(judge(weights)) for weights in blocks], axis=1)


def _sizes(replicates: int) -> list[int]:
    return [min(CHUNK, replicates - start) for start in range(0, replicates, CHUNK)]


def _ends(
    draw: Callable[[], np.ndarray],
    strata: np.ndarray,
    objects: tuple[float, float],
    share: np.ndarray,
    values: np.ndarray,
    means: np.ndarray,
    ratio: float,
    methods: Sequence[str],
    confidence: float,
) -> dict[str, Ends]:
    """Ends by method; `objects` are judged ones with a mask and nominal ones, `share` metrics of the former alone."""
    ends: dict[str, Ends] = {}
    if {"object-bootstrap", "object-bootstrap-percentile"} & set(methods):
        drawn = draw()
        if "object-bootstrap" in methods:
            defective, nominal = objects
            ends["object-bootstrap"] = deviation_interval(
                means,
                drawn,
                objects=np.column_stack((np.full(len(share), defective), np.where(share, defective, nominal))),
                degrees=max(len(strata) - (1.0 if strata.all() else 2.0), 1.0),
                ranking=~share,
                confidence=confidence,
            )
        if "object-bootstrap-percentile" in methods:
            ends["object-bootstrap-percentile"] = percentile_interval(drawn, confidence)
    if "corrected-t" in methods:
        ends["corrected-t"] = corrected_t_interval(values, ratio, confidence)
    if "naive-t" in methods:
        ends["naive-t"] = naive_t_interval(values, confidence)
    return {method: (np.clip(low, 0, 1), np.clip(high, 0, 1)) for method, (low, high) in ends.items()}
