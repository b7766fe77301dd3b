"""A factory whose truth is known: objects with correlated pictures, and detectors that depend on their training sample.

Every picture has an appearance b and p features z, all standard normal; between two pictures of one object each of
them has the correlation rho. A detector is trained on nominal objects: it estimates the centre of the features, and its
error moves the scores of all pictures. In fold k, with mean features c_k over the training pictures, and fresh noise g
(again with correlation rho) for what else is random in training, a picture's score is

    score = severity + b - leverage * z . c_k + noise * g,

where severity is 0 for nominal pictures and normal with mean `separation` and standard deviation `spread`, one draw an
object, for anomalous ones. All pictures of an anomalous object are anomalous or, where every object is mixed, a few of
each. Folds whose training samples overlap have similar errors; more training objects make better detectors; nominal
objects that were trained on look more normal than new ones, as with real detectors.

What is estimated: the expected outcome on new objects of the same population, of a detector trained on the same
number of objects, with a threshold chosen on the same number of objects. Given c_k and the threshold, the outcome on
new objects (for the AUROC: on pictures of different objects) is a normal integral, so the truth is the mean of such
integrals over simulated detectors and thresholds, computed here without any of the code that is judged (`true_values`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow as pa
from scipy.special import ndtr

from raylab2f.evaluation import plan_fold
from raylab2f.evaluation.scores import Scores, prepare_scores
from raylab2f.seeding import numpy_generator

__all__ = [
    "ESTIMANDS",
    "Plan",
    "Setting",
    "draw_scores",
    "plan_folds",
    "plan_of",
    "share_below",
    "true_values",
    "youden_thresholds",
]

ESTIMANDS = tuple(
    (level, metric)
    for level in ("image", "object")
    for metric in ("balanced_accuracy", "recall", "specificity", "auroc")
)

_FEATURES = 20
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(120)
_NODE_WEIGHTS = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()


@dataclass(frozen=True)
class Setting:
    """One population and sample size; anomalous objects are even in number, mixed ones divisible by three.

    Arguments:
        anomalous, nominal: objects in the sample.
        pictures: of each object.
        rho: correlation of two pictures of one object.
        separation: mean severity of defects, in standard deviations of nominal appearance.
        spread: standard deviation of the severity between defective objects.
        folds: resamplings.
        leverage, noise: of the detector, see the module.
        defective: anomalous pictures of each anomalous object; 0: all. Otherwise there are no nominal objects, and the
            good pictures of a third of the objects train.
    """

    anomalous: int
    nominal: int
    pictures: int
    rho: float
    separation: float
    spread: float = 0.0
    folds: int = 10
    leverage: float = 1.0
    noise: float = 0.3
    defective: int = 0

    @property
    def name(self) -> str:
        """Short and unique."""
        text = f"{self.anomalous}+{self.nominal} x {self.pictures}"
        text += f" ({self.defective} defective)" if self.defective else ""
        text += f", rho {self.rho:g}, sep {self.separation:g}"
        return text + (f", spread {self.spread:g}" if self.spread else "")

    @property
    def training(self) -> int:
        """Objects that train in each fold."""
        return self.anomalous // 3 if self.defective else self.nominal - self.anomalous

    @property
    def labels(self) -> np.ndarray:
        """(objects, pictures) bool, anomalous; anomalous objects come first."""
        label = np.zeros((self.anomalous + self.nominal, self.pictures), dtype=bool)
        label[: self.anomalous, : self.defective or self.pictures] = True
        return label


@dataclass(frozen=True)
class Plan:
    """Folds of a setting, the scores still missing.

    Arguments:
        rows: the folds' threshold and inference rows, ready for scores.
        picture: (n,) picture of each row.
        train: (folds, pictures) share of each picture in the training mean.
    """

    rows: Scores
    picture: np.ndarray
    train: np.ndarray


def plan_folds(setting: Setting, seed: int, split_by: str = "object") -> Plan:
    """The protocol's folds for a sample of this setting; anomalous objects come first."""
    objects = setting.anomalous + setting.nominal
    owner = np.repeat(np.arange(objects), setting.pictures)
    label = setting.labels.ravel()
    ids = [f"{number:06d}" for number in range(len(owner))]
    manifest = pa.table(
        {
            "image_id": ids,
            "object_id": [f"{o:06d}" for o in owner],
            "label": pa.array(label.astype(int), pa.int8()),
            "given_split": ["train"] * len(ids),
        }
    )
    splits = [
        plan_fold(manifest, fold=fold, seed=seed, split_by=split_by, fingerprint="simulated")
        for fold in range(setting.folds)
    ]
    return plan_of(splits, label)


def plan_of(splits: Sequence[pa.Table], label: np.ndarray) -> Plan:
    """The plan of folds with these splits of pictures, which are called by their numbers in `label`."""
    train, tables = np.zeros((len(splits), len(label))), []
    for fold, split in enumerate(splits):
        picture = np.array([int(name) for name in split["image_id"].to_pylist()])
        trains = np.array(split["partition"].to_pylist()) == "train"
        train[fold, picture[trains]] = 1 / trains.sum()
        kept = split.filter(pa.array(~trains))
        # Any scores do until they are drawn; these say which picture a row is of.
        columns = {"fold": np.full(len(kept), fold), "label": label[picture[~trains]], "score": picture[~trains]}
        for name, values in columns.items():
            kept = kept.append_column(name, pa.array(values.astype(int)))
        tables.append(kept)
    rows = prepare_scores(pa.concat_tables(tables))
    return Plan(rows, rows.score.astype(np.int64), train)


def draw_scores(setting: Setting, plan: Plan, rng: np.random.Generator) -> tuple[Scores, np.ndarray]:
    """A sample of the population, scored by one detector a fold, and its (4,) control values.

    Control values have the expectation 0 and say how easy this sample is by chance: the AUROC of a detector without
    any error on it, of pictures and of objects, and the mean appearance in each class, each minus its expectation.
    They take most of the noise out of the mean over simulated samples.
    """
    objects, pictures = setting.anomalous + setting.nominal, setting.pictures

    def correlated(*shape: int) -> np.ndarray:
        common = rng.standard_normal((*shape, objects, 1))
        own = rng.standard_normal((*shape, objects, pictures))
        return (np.sqrt(setting.rho) * common + np.sqrt(1 - setting.rho) * own).reshape(*shape, objects * pictures)

    severity = np.zeros(objects)
    severity[: setting.anomalous] = setting.separation + setting.spread * rng.standard_normal(setting.anomalous)
    features = correlated(_FEATURES)
    centres = plan.train @ features.T
    perfect = (setting.labels * severity[:, None]).ravel() + correlated()
    scores = perfect - setting.leverage * centres @ features + setting.noise * correlated(setting.folds)
    return replace(plan.rows, score=scores[plan.rows.fold, plan.picture]), _controls(setting, perfect)


def true_values(setting: Setting, seed: int, draws: int = 40_000) -> dict[tuple[str, str], float]:
    """Expected outcomes with the strategy `youden` and the largest picture score as object score.

    Arguments:
        setting: the population.
        seed: of the simulation.
        draws: simulated detectors with thresholds; the standard error is about 0.1 / sqrt(draws).
    """
    rng = numpy_generator(seed, "truth", setting.name)
    size = max(1, 2_000_000 // (setting.anomalous * setting.pictures))
    collected = [_conditional_values(setting, rng, min(size, draws - start)) for start in range(0, draws, size)]
    return dict(zip(ESTIMANDS, np.concatenate(collected, axis=1).mean(axis=1).tolist(), strict=True))


def _controls(setting: Setting, perfect: np.ndarray) -> np.ndarray:
    by_object = perfect.reshape(-1, setting.pictures)
    if setting.defective:
        return _mixed_controls(setting, by_object)
    values = []
    for part in (by_object, by_object.max(axis=1, keepdims=True)):
        anomalous, nominal = part[: setting.anomalous].ravel(), np.sort(part[setting.anomalous :].ravel())
        auroc = np.searchsorted(nominal, anomalous).mean() / len(nominal)
        values.append(auroc - _perfect_auroc(setting, setting.pictures if part is not by_object else 1))
    anomalous, nominal = by_object[: setting.anomalous], by_object[setting.anomalous :]
    return np.array([*values, anomalous.mean() - setting.separation, nominal.mean()])


def _mixed_controls(setting: Setting, by_object: np.ndarray) -> np.ndarray:
    """There is no object level, so one of them is 0."""
    anomalous, nominal = by_object[setting.labels], np.sort(by_object[~setting.labels])
    auroc = np.searchsorted(nominal, anomalous).mean() / len(nominal)
    # In one of so many pairs both pictures show the same object.
    within = float(ndtr(setting.separation / np.sqrt(2 * (1 - setting.rho) + setting.spread**2)))
    expected = _perfect_auroc(setting, 1) + (within - _perfect_auroc(setting, 1)) / len(by_object)
    return np.array([auroc - expected, 0.0, anomalous.mean() - setting.separation, nominal.mean()])


@cache
def _perfect_auroc(setting: Setting, pictures: int) -> float:
    return float(_auroc(setting, np.ones(2), pictures)[0])


def _conditional_values(setting: Setting, rng: np.random.Generator, count: int) -> np.ndarray:
    """(estimands, count) outcome on infinitely many new objects, for simulated detectors and thresholds."""
    half, pictures, rho = setting.anomalous // 2, setting.pictures, setting.rho
    of_mean = (rho + (1 - rho) / (pictures - setting.defective)) / setting.training
    variance = 1 + setting.noise**2 + setting.leverage**2 * of_mean * rng.chisquare(_FEATURES, count)
    if setting.defective:
        return _mixed_values(setting, variance, rng)
    common = rng.standard_normal((count, 2 * half, 1))
    own = rng.standard_normal((count, 2 * half, pictures))
    scores = np.sqrt(variance)[:, None, None] * (np.sqrt(rho) * common + np.sqrt(1 - rho) * own)
    scores[:, :half] += setting.separation + setting.spread * rng.standard_normal((count, half, 1))
    values = []
    for by_object in (False, True):
        chosen = scores.max(axis=2) if by_object else scores.reshape(count, -1)
        threshold = youden_thresholds(chosen, chosen.shape[1] // 2)
        m = pictures if by_object else 1
        recall = 1 - share_below(threshold - setting.separation, variance, setting.spread, rho, m)
        specificity = share_below(threshold, variance, 0.0, rho, m)
        values += [(recall + specificity) / 2, recall, specificity, _auroc(setting, variance, m)]
    return np.stack(values)


def _mixed_values(setting: Setting, variance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same where every object is mixed; NaN at object level."""
    count, objects, rho, defective = len(variance), setting.anomalous // 3, setting.rho, setting.defective
    common = rng.standard_normal((count, objects, 1))
    own = rng.standard_normal((count, objects, setting.pictures))
    scores = np.sqrt(variance)[:, None, None] * (np.sqrt(rho) * common + np.sqrt(1 - rho) * own)
    scores[:, :, :defective] += setting.separation + setting.spread * rng.standard_normal((count, objects, 1))
    by_class = [part.reshape(count, -1) for part in (scores[:, :, :defective], scores[:, :, defective:])]
    threshold = youden_thresholds(np.concatenate(by_class, axis=1), objects * defective)
    recall = 1 - share_below(threshold - setting.separation, variance, setting.spread, rho, 1)
    specificity = share_below(threshold, variance, 0.0, rho, 1)
    values = [(recall + specificity) / 2, recall, specificity, _auroc(setting, variance, 1)]
    return np.stack([*values, *np.full((len(values), count), np.nan)])


def youden_thresholds(scores: np.ndarray, positives: int) -> np.ndarray:
    """Highest of the thresholds with the largest recall - false-alarm rate; the first columns are the positives."""
    order = np.argsort(-scores, axis=1)
    gain = np.where(order < positives, scores.shape[1] - positives, -positives).cumsum(axis=1)
    best = gain.argmax(axis=1)
    rows = np.arange(len(scores))
    return scores[rows, order[rows, best]]


def share_below(x: np.ndarray, variance: np.ndarray, spread: float, rho: float, pictures: int) -> np.ndarray:
    """Probability that the largest of an object's scores is below x, the object's mean severity being 0."""
    shared = rho * variance + spread**2
    if pictures == 1:
        return ndtr(x / np.sqrt(variance + spread**2))
    inner = (x[:, None] - np.sqrt(shared)[:, None] * _NODES) / np.sqrt((1 - rho) * variance)[:, None]
    return ndtr(inner) ** pictures @ _NODE_WEIGHTS


def _auroc(setting: Setting, variance: np.ndarray, pictures: int) -> np.ndarray:
    """Probability that a new anomalous picture (object) scores higher than a nominal one, for each detector."""
    knots = np.linspace(variance.min(), variance.max(), 17)
    values = []
    for knot in knots:
        reach = 9 * np.sqrt(knot + setting.spread**2)
        x = np.linspace(-reach, reach + setting.separation, 4001)
        level = np.full(len(x), knot)
        anomalous = share_below(x - setting.separation, level, setting.spread, setting.rho, pictures)
        nominal = share_below(x, level, 0.0, setting.rho, pictures)
        middle = (nominal[1:] + nominal[:-1]) / 2
        values.append((np.diff(anomalous) * middle).sum())
    return np.interp(variance, knots, values)
