"""How often a90/95 is below the size of which 90 % are found in truth, by simulation.

Two kinds of data sets. Folds of `run-cv`: those of `simulated_factory`, where the severity of a part's defect grows
with the logarithm of its size and some defects do not show, however large they are; thresholds are chosen by Youden's
index, all pictures of a part show the same defect, every part is judged in about half of the folds, and the curve is
none of the model's. One decision a part: hits and misses drawn from curves of the model itself.

An a90/95 above the largest size seen, or none, is no error: nothing was promised. One below the smallest size seen
counts as that size.

Run: OMP_NUM_THREADS=1 python benchmarks/pod.py [--datasets 1000] [--only "20+60"]
The results go to pod.md beside this file.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import time
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit
from simulated_factory import Setting, draw_scores, share_below, youden_thresholds
from simulated_portions import bootstrap_seed, options_of, plan_of, simulate_all

from raylab2f.evaluation.decisions.object_scores import parse_object_score
from raylab2f.evaluation.decisions.thresholds import parse_strategy
from raylab2f.evaluation.detection.fit import PROBABILITY, fit_hits
from raylab2f.evaluation.detection.hits import Hits, count_hits
from raylab2f.evaluation.detection.probability import why_no_curve
from raylab2f.seeding import numpy_generator

LEVELS = ("object", "image")
#: Sizes go from 1 to e to the power of this.
RANGE = 5.0
_YOUDEN = parse_strategy("youden")
_MAX = parse_object_score("max")
_DRAWS = 4_000
_FEATURES = 20


@dataclass(frozen=True)
class Factory:
    """Parts whose defects have sizes.

    Arguments:
        base: the parts, see `simulated_factory`; its separation is 0.
        slope: severity of the largest defects; of the smallest it is 0, and between them it grows with log size.
        hidden: share of the defects that do not show.
    """

    base: Setting
    slope: float
    hidden: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.base.name.partition(', sep')[0]}, slope {self.slope:g}, hidden {self.hidden:g}"


@dataclass(frozen=True)
class Model:
    """Parts that are found as a curve of the model says.

    Arguments:
        parts: number of defective parts.
        middle, width: of log size from 0 to 1.
        floor, ceiling: asymptotes.
    """

    parts: int
    middle: float
    width: float
    floor: float
    ceiling: float

    @property
    def name(self) -> str:
        text = f"{self.parts} parts, middle {self.middle:g}, width {self.width:g}"
        return f"{text}, floor {self.floor:g}, ceiling {self.ceiling:g}"

    @property
    def a90(self) -> float:
        if self.ceiling <= PROBABILITY:
            return np.inf
        return self.middle + self.width * np.log((PROBABILITY - self.floor) / (self.ceiling - PROBABILITY))


FACTORIES = (
    Factory(Setting(20, 60, 6, 0.5, 0.0), 12.0),
    Factory(Setting(50, 150, 6, 0.5, 0.0), 12.0),
    Factory(Setting(50, 150, 6, 0.9, 0.0), 12.0, 0.08),
    Factory(Setting(100, 200, 4, 0.5, 0.0), 12.0),
    Factory(Setting(100, 200, 4, 0.5, 0.0), 8.0, 0.05),
    Factory(Setting(200, 300, 2, 0.5, 0.0), 8.0, 0.03),
    Factory(Setting(300, 450, 2, 0.5, 0.0), 8.0),
    Factory(Setting(300, 450, 2, 0.5, 0.0), 6.0, 0.05),
)
MODELS = (
    Model(20, 0.1, 0.02, 0.0, 1.0),
    Model(50, 0.1, 0.03, 0.0, 1.0),
    Model(50, 0.2, 0.05, 0.05, 0.9),
    Model(100, 0.2, 0.05, 0.02, 1.0),
    Model(100, 0.4, 0.08, 0.02, 0.97),
    Model(100, 0.2, 0.2, 0.1, 0.95),
    Model(100, 0.1, 0.03, 0.3, 0.92),
    Model(200, 0.2, 0.05, 0.0, 0.9),
    Model(300, 0.5, 0.05, 0.1, 0.97),
    Model(300, 0.3, 0.15, 0.0, 0.93),
    Model(300, 0.2, 0.1, 0.0, 1.0),
)


def main() -> None:
    options = options_of(__file__, __doc__.splitlines()[0])
    started = time.perf_counter()
    folds = simulate_all(simulate_factory, FACTORIES, options, __file__, true_sizes)
    models = simulate_all(simulate_model, MODELS, options, __file__, true_size)
    text = _report(folds, models, options, time.perf_counter() - started)
    options.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def simulate_factory(factory: Factory, number: int, replicates: int, seed: int) -> dict[str, np.ndarray]:
    """`found`: (levels, 2) a90 and a90/95 of one data set, as `_found`; `effect`: (levels,) design effects."""
    rng = numpy_generator(seed, "data", factory.name, number)
    setting = factory.base
    plan = plan_of(setting, number, "object", seed)
    scores, _ = draw_scores(setting, plan, rng)
    x = rng.random(setting.anomalous)
    shows = rng.random(setting.anomalous) >= factory.hidden
    objects = setting.anomalous + setting.nominal
    part = plan.picture // setting.pictures
    added, size = np.zeros(objects), np.full(objects, np.nan)
    added[: setting.anomalous], size[: setting.anomalous] = factory.slope * x * shows, np.exp(RANGE * x)
    scores = replace(scores, score=scores.score + added[part], size=size[part])
    drawn = bootstrap_seed(setting, number, seed)
    found, effect = [], []
    for level in LEVELS:
        ends, one = _found(count_hits(scores, _YOUDEN, _MAX, level, replicates=replicates, seed=drawn), level)
        found.append(ends)
        effect.append(one)
    return {"found": np.array(found) / RANGE, "effect": np.array(effect)}


def simulate_model(model: Model, number: int, replicates: int, seed: int) -> dict[str, np.ndarray]:
    """`found`: (1, 2) a90 and a90/95 of one data set, as `_found`."""
    rng = numpy_generator(seed, "model", model.name, number)
    x = rng.random(model.parts)
    probability = model.floor + (model.ceiling - model.floor) * expit((x - model.middle) / model.width)
    share = (rng.random(model.parts) < probability).astype(float)
    each, none = np.arange(model.parts), np.empty((model.parts, 0))
    return {"found": np.array([_found(Hits(np.exp(x), share, each, each, none, none, 0), "object")[0]])}


def _found(hits: Hits, level: str) -> tuple[tuple[float, float], float]:
    """Log sizes of a90 and a90/95, and the design effect: inf where there is none, NaN where there is no curve."""
    if why_no_curve(hits, level) is not None:
        return (np.nan, np.nan), np.nan
    fit = fit_hits(hits)
    ends = [end if end <= 1 else np.inf for end in (fit.reached, fit.bound)]
    a90, bound = (fit.low + max(end, 0.0) * (fit.high - fit.low) for end in ends)
    return (a90, bound), fit.effect


def true_size(model: Model, seed: int) -> np.ndarray:
    """(1,) log size, from 0 to 1, of which 90 % are found."""
    return np.array([model.a90])


def true_sizes(factory: Factory, seed: int) -> np.ndarray:
    """(levels,) log size, from 0 to 1, of which 90 % are found by the mean of all detectors and thresholds."""
    setting = factory.base
    rng = numpy_generator(seed, "truth", factory.name)
    half, pictures, rho = setting.anomalous // 2, setting.pictures, setting.rho
    x = np.linspace(0, 1, 61)
    sums, done = np.zeros((len(LEVELS), len(x))), 0
    while done < _DRAWS:
        count = min(500, _DRAWS - done)
        of_mean = (rho + (1 - rho) / pictures) / setting.training
        variance = 1 + setting.noise**2 + setting.leverage**2 * of_mean * rng.chisquare(_FEATURES, count)
        common, own = (rng.standard_normal((count, 2 * half, size)) for size in (1, pictures))
        scores = np.sqrt(variance)[:, None, None] * (np.sqrt(rho) * common + np.sqrt(1 - rho) * own)
        shows = rng.random((count, half, 1)) >= factory.hidden
        scores[:, :half] += factory.slope * rng.random((count, half, 1)) * shows
        for row, level in enumerate(LEVELS):
            chosen = scores.max(axis=2) if level == "object" else scores.reshape(count, -1)
            threshold = youden_thresholds(chosen, chosen.shape[1] // 2)
            m = pictures if level == "object" else 1
            unseen = share_below(threshold, variance, 0.0, rho, m).sum()
            for place, one in enumerate(x):
                below = share_below(threshold - factory.slope * one, variance, 0.0, rho, m).sum()
                sums[row, place] += count - (1 - factory.hidden) * below - factory.hidden * unseen
        done += count
    found = sums / _DRAWS
    return np.array([np.interp(PROBABILITY, row, x) if row[-1] > PROBABILITY else np.inf for row in found])


def _report(folds: dict, models: dict, options: argparse.Namespace, seconds: float) -> str:
    error = (0.05 * 0.95 / options.datasets) ** 0.5
    lines = [
        "# How often a90/95 is too small",
        "",
        f"`python benchmarks/pod.py --datasets {options.datasets}`: {options.datasets:,} simulated data sets a setting"
        f", {options.replicates} bootstrap replicates, 10 folds, strategy youden; {seconds / 60:.0f} minutes for what "
        f"was not there from an earlier run. Standard error of a share of 0.05: {error:.3f}; in bold what lies more "
        "than twice that above 0.05. Log size goes from 0 to 1, and defects are spread evenly over it. *Too small*: "
        "share of all data sets whose a90/95 is below the size of which 90 % are found in truth (the aim is at most "
        "0.05). *Given*: share of data sets with an a90/95, and how far, in log size, it lies above the truth in the "
        "middle.",
        "",
        "## Folds of `run-cv`",
        "",
        "Objects x pictures, correlation of two pictures of one part, severity of the largest defects, and share of "
        "defects that do not show; *effect*: mean design effect that the bootstrap over parts finds.",
        "",
        "| setting | level | true a90 | too small | given | above the truth | effect |",
        "|---|---|---|---|---|---|---|",
    ]
    worst = 0.0
    for setting, (truth, values) in folds.items():
        for row, level in enumerate(LEVELS):
            cells, share = _cells(values["found"][:, row], truth[row], error)
            lines.append(f"| {setting.name} | {level} | {cells} | {np.nanmean(values['effect'][:, row]):.2f} |")
            worst = max(worst, share)
    lines += [
        "",
        "## One decision a part, by a curve of the model",
        "",
        "| setting | true a90 | too small | given | above the truth |",
        "|---|---|---|---|---|",
    ]
    for setting, (truth, values) in models.items():
        cells, share = _cells(values["found"][:, 0], truth[0], error)
        lines.append(f"| {setting.name} | {cells} |")
        worst = max(worst, share)
    return "\n".join([*lines, "", f"The largest share of an a90/95 that is too small is {worst:.3f}.", ""])


def _cells(found: np.ndarray, truth: float, error: float) -> tuple[str, float]:
    bound = found[:, 1]
    given = np.isfinite(bound)
    share = float((bound[given] < truth).sum() / len(bound))
    shown = f"**{share:.3f}**" if share > 0.05 + 2 * error else f"{share:.3f}"
    above = f"{np.median(bound[given] - truth):.3f}" if given.any() and np.isfinite(truth) else ""
    aim = f"{truth:.3f}" if np.isfinite(truth) else "none"
    return f"{aim} | {shown} | {given.mean():.2f} | {above}", share


if __name__ == "__main__":
    main()
