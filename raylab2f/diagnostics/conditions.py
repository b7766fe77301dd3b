"""What a light, a batch or a camera costs that neither trained nor chose the threshold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude, skipped
from raylab2f.diagnostics.resampling import Estimate, mean, resample

__all__ = ["CONDITION_GAP", "diagnose_conditions"]

# Of wrong decisions, mean of both classes: one more in twenty warns, three more in twenty fail.
CONDITION_GAP = Bounds(0.05, 0.15)


def diagnose_conditions(
    left_out: pa.Table,
    left_out_thresholds: Mapping[int, float],
    ordinary: pa.Table,
    ordinary_thresholds: Mapping[int, float],
    *,
    seed: int,
) -> Finding:
    """Compare decisions on a condition by folds that never saw it with those by folds that did, part by part.

    The gap of a condition is the share of its pictures that are judged wrongly, the mean of that of the defective ones
    and that of the good ones, without having seen the condition, less the same with it. Only parts that both judged
    count, each with the mean over folds, so that what is hard about a part cancels; parts are resampled with both of
    their shares.

    Arguments:
        left_out: score tables of a run with the scheme `leave-condition-out`: `fold`, `partition`, `object_id`,
            `label`, `condition`, `score`.
        left_out_thresholds: of its folds, on image scores.
        ordinary: score tables of a run on the same pictures whose folds saw every condition.
        ordinary_thresholds: of its folds.
        seed: of the resampling.
    """
    name = "condition"
    unseen = _wrong_shares(left_out, left_out_thresholds)
    seen = _wrong_shares(ordinary, ordinary_thresholds)
    measures, rows = [], []
    for condition in sorted({key[0] for key in unseen}):
        parts = sorted(key for key in unseen.keys() & seen.keys() if key[0] == condition)
        labels = np.array([label for _, _, label in parts], np.int64)
        if len(set(labels.tolist())) < 2:
            continue
        differences = np.array([unseen[part] - seen[part] for part in parts])
        gap = _balanced(np.array([owner for _, owner, _ in parts]), labels, differences, seed)
        sentence = (
            f"Decisions under the condition '{condition}' are wrong {100 * gap.value:.0f} points more often where it "
            "was never seen than where it was."
            if gap.value > 0
            else f"Decisions under the condition '{condition}' are no more often wrong where it was never seen "
            f"({100 * gap.value:+.0f} points)."
        )
        measures.append(Measure(f"gap[{condition}]", gap, sentence, CONDITION_GAP))
        rows += [
            {
                "condition": condition,
                "object_id": owner,
                "label": label,
                "wrong_unseen": unseen[condition, owner, label],
                "wrong_seen": seen[condition, owner, label],
            }
            for _, owner, label in parts
        ]
    if not measures:
        return skipped(name, "No condition has good and defective parts that both runs judge.")
    # The first of the worst verdicts decides; of several, the largest gap.
    measures.sort(key=lambda measure: -measure.estimate.value)
    table = pa.Table.from_pylist(rows)
    worst = np.argsort(-(np.array(table["wrong_unseen"]) - np.array(table["wrong_seen"])), kind="stable")
    return conclude(name, measures, table.take(worst))


def _wrong_shares(table: pa.Table, thresholds: Mapping[int, float]) -> dict[tuple[str, str, int], float]:
    """By condition, object and label: the share of the judged pictures that are judged wrongly, mean over folds."""
    names = ("fold", "partition", "object_id", "label", "condition", "score")
    found: dict[tuple[str, str, int], list[float]] = {}
    for fold, partition, owner, label, condition, score in zip(
        *(table[name].to_pylist() for name in names), strict=True
    ):
        if partition == "inference" and condition and fold in thresholds:
            wrong = float((score >= thresholds[fold]) != bool(label))
            found.setdefault((str(condition), str(owner), int(label)), []).append(wrong)
    return {key: float(np.mean(shares)) for key, shares in found.items()}


def _balanced(owners: np.ndarray, labels: np.ndarray, values: np.ndarray, seed: int) -> Estimate:
    """Mean of the means of both classes of values in [-1, 1], with the interval of resampled parts."""
    draws = resample(owners, labels, seed=seed)
    # Weighted so that their plain mean is the mean of both classes' means.
    share = np.where(labels == 1, (labels == 1).mean(), (labels == 0).mean())
    return mean(draws, values / (2 * share), limits=(-1.0, 1.0))
