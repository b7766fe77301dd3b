"""Missing invariance: does the detector call good parts defective because they are turned, moved, lit or blurred?

False alarms are counted at the threshold that the fold chose. What a line shows every day must not raise them; what it
may show on a bad day, or never, is worth knowing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from raylab2f.diagnostics.alterations import ALTERATIONS, Alteration
from raylab2f.diagnostics.finding import Bounds, Finding, Measure, conclude, skipped
from raylab2f.diagnostics.resampling import Estimate, mean_difference, resample

__all__ = ["EVERYDAY", "RARE", "UNSEEN", "diagnose_invariance", "dose_responses"]

# Every tenth good part rejected for what happens every day is more than most lines can afford; every fifth makes
# inspectors ignore the alarms.
EVERYDAY = Bounds(0.10, 0.20)
# What is not said to occur only warns, and only when half of the good parts would be rejected.
RARE = Bounds(0.50, None)
# Pictures turned, or views, that evaluation has and training has not: they are expected, for they are there.
UNSEEN = EVERYDAY


def diagnose_invariance(
    scores: pa.Table,
    thresholds: Mapping[int, float],
    rescored: pa.Table | None = None,
    expected: Mapping[str, float] | None = None,
    *,
    seed: int,
) -> Finding:
    """Hold false alarms on altered good pictures against those on the same pictures as they are.

    Arguments:
        scores: `fold`, `image_id`, `object_id`, `score`, `trained` (whether the picture's turn and view occur in the
            fold's training) of good inference pictures.
        thresholds: per fold.
        rescored: `fold`, `image_id`, `object_id`, `alteration`, `dose`, `score` of altered good inference pictures, and
            of the same pictures with the alteration `none`; `None`: not computed.
        expected: alteration -> largest dose that the user says occurs, beside those of every day.
        seed: of the resampling.
    """
    name = "invariance"
    measures = _unseen(scores, thresholds, seed)
    evidence = None
    if rescored is not None and rescored.num_rows:
        evidence = dose_responses(rescored, thresholds, seed=seed)
        measures += _altered(evidence, expected or {})
    if not measures:
        return skipped(name, "Nothing was altered, and evaluation shows no turns or views that training lacks.")
    return conclude(name, measures, evidence)


def dose_responses(rescored: pa.Table, thresholds: Mapping[int, float], *, seed: int) -> pa.Table:
    """False alarms of every alteration and dose.

    Returns:
        `alteration`, `dose`, `unit`, `false_alarms`, `increase` (over the pictures as they are), `low` and `high` (the
        increase's interval), `pictures`; largest increase first.
    """
    columns = {key: np.array(rescored[key].to_pylist()) for key in rescored.column_names}
    limit = np.array([thresholds[int(fold)] for fold in columns["fold"]])
    alarm = (columns["score"].astype(np.float64) >= limit).astype(np.float64)
    draws = resample(columns["object_id"], np.zeros(len(alarm)), seed=seed)
    plain = columns["alteration"] == "none"
    rows = []
    for alteration, spec in ALTERATIONS.items():
        for dose in spec.doses:
            here = (columns["alteration"] == alteration) & np.isclose(columns["dose"].astype(np.float64), dose)
            if not here.any():
                continue
            increase = mean_difference(draws, alarm, here, plain)
            rows.append(
                {
                    "alteration": alteration,
                    "dose": float(dose),
                    "unit": spec.unit,
                    "false_alarms": float(alarm[here].mean()),
                    "increase": increase.value,
                    "low": increase.low,
                    "high": increase.high,
                    "pictures": int(here.sum()),
                }
            )
    return pa.Table.from_pylist(rows).sort_by([("increase", "descending")])


def _unseen(scores: pa.Table, thresholds: Mapping[int, float], seed: int) -> list[Measure]:
    columns = {key: np.array(scores[key].to_pylist()) for key in scores.column_names}
    if not scores.num_rows:
        return []
    seen = columns["trained"].astype(bool)
    if seen.all() or not seen.any():
        return []
    limit = np.array([thresholds[int(fold)] for fold in columns["fold"]])
    alarm = (columns["score"].astype(np.float64) >= limit).astype(np.float64)
    draws = resample(columns["object_id"], np.zeros(len(alarm)), seed=seed)
    increase = mean_difference(draws, alarm, ~seen, seen)
    sentence = (
        f"Good pictures in turns or views that never trained are rejected in {alarm[~seen].mean():.0%} of cases, "
        f"others in {alarm[seen].mean():.0%}."
    )
    return [Measure("unseen-views", increase, sentence, UNSEEN)]


def _altered(responses: pa.Table, expected: Mapping[str, float]) -> list[Measure]:
    """The worst dose of every alteration: of those that are expected, and of the others."""
    measures = []
    for alteration, spec in ALTERATIONS.items():
        rows = [row for row in responses.to_pylist() if row["alteration"] == alteration]
        for usual, bounds in ((True, EVERYDAY), (False, RARE)):
            part = [row for row in rows if _is_expected(row["dose"], spec, expected.get(alteration)) == usual]
            if not part:
                continue
            worst = max(part, key=lambda row: row["increase"])
            estimate = Estimate(worst["increase"], worst["low"], worst["high"])
            sentence = (
                f"{spec.describe(worst['dose'])} raises false alarms by {estimate.value:.0%} to "
                f"{worst['false_alarms']:.0%}."
                if estimate.value > 0
                else f"{spec.noun} of any such dose raises no false alarms."
            )
            kind = "everyday" if usual else "rare"
            measures.append(Measure(f"{alteration} {kind}", estimate, sentence, bounds))
    return measures


def _is_expected(dose: float, spec: Alteration, said: float | None) -> bool:
    """Whether a dose lies within what happens every day, or within what the user says."""
    return spec.strength(dose) <= max(spec.everyday, abs(said or 0.0)) + 1e-9
