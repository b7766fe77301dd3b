"""What figures say, in words that need no statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "METRIC_NAMES",
    "ends_of",
    "figure_text",
    "method_sentences",
    "number_text",
    "outcome_sentence",
    "share_text",
]

Row = Mapping[str, Any]

#: What pages call metrics.
METRIC_NAMES = {
    "escape_rate": "Escape rate: defective parts accepted",
    "overkill_rate": "Overkill rate: good parts rejected",
    "review_rate": "Review rate: parts that a person looks at",
    "recall": "Recall: defective parts found",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "balanced_accuracy": "Balanced accuracy",
    "precision": "Precision",
    "f1": "F1",
    "expected_cost": "Cost of 1,000 parts, mixed as they were judged",
    "cost_at_prevalence": "Cost of 1,000 parts at the factory's prevalence",
}


def number_text(value: float | None, digits: int = 3) -> str:
    """`0.0312` as `0.0312`, `1234.5` as `1,234`; empty for `None`."""
    if value is None:
        return ""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 1:
        return f"{value:.{digits}g}"
    return f"{value:.{digits}f}"


def ends_of(interval: Row | None) -> dict[str, float | None]:
    """`low` and `high` of an estimate's interval; both `None` where it has none."""
    return {name: None if interval is None else interval[name] for name in ("low", "high")}


def figure_text(row: Row) -> str:
    """A figure with its interval, where it has one."""
    mean, low, high = (number_text(row[name]) for name in ("mean", "low", "high"))
    return mean if row["low"] is None else f"{mean} ({low} to {high})"


def share_text(value: float) -> str:
    """`0.021` as `2.1 %`."""
    return f"{100 * value:.3g} %"


def outcome_sentence(escape: Row, overkill: Row, prevalence: float | None) -> str:
    """What happens to 1,000 parts.

    Arguments:
        escape, overkill: rows of the two rates, with `mean`, `low` and `high`.
        prevalence: the factory's share of defective parts; `None`: not known, and nothing is assumed.
    """
    if prevalence is None:
        return (
            f"Of 1,000 defective parts {_count(escape, 1000)} slip through; of 1,000 good parts "
            f"{_count(overkill, 1000)} are rejected."
        )
    return (
        f"Of 1,000 parts at {share_text(prevalence)} defective: {_count(escape, 1000 * prevalence)} escapes, "
        f"{_count(overkill, 1000 * (1 - prevalence))} good parts rejected."
    )


def _count(rate: Row, parts: float) -> str:
    mean, low, high = (None if rate[name] is None else parts * rate[name] for name in ("mean", "low", "high"))
    ends = "" if low is None or high is None else f" ({_parts(low)} to {_parts(high)})"
    return f"{_parts(mean)}{ends}"


def _parts(count: float | None) -> str:
    if count is None:
        return "an unknown number of"
    return f"{count:.0f}" if count >= 10 else f"{count:.1f}"


_SCHEMES = {
    "balanced": "each draws its partitions anew",
    "kfold": "every part is judged in exactly one of them",
    "leave-condition-out": "each judges pictures of one condition alone, of which none trained or chose its threshold",
}


def method_sentences(run: Mapping[str, Any]) -> list[str]:
    """How the figures came about, in three sentences."""
    record, folds, rules = run["record"], run["folds"], run["rules"]
    settings, strategies = record["settings"], ", ".join(rules["strategies"])
    by_object = settings["split_by"] == "object"
    together = "of one part stay on one side" if by_object else "are dealt one by one, which leaks"
    scheme = _SCHEMES.get(settings["scheme"], _SCHEMES["balanced"])
    return [
        f"{folds['finished']} of {folds['planned']} folds were trained and judged, {scheme}, and all pictures "
        f"{together}.",
        f"In every fold the detector trains on good parts alone, the threshold is chosen by {strategies} on parts that "
        "do not train, and the figures are counted on parts that did neither.",
        f"Intervals are {100 * rules['confidence']:g}% intervals of the method {rules['interval']}; in the bootstrap "
        f"whole parts are drawn again {rules['replicates']:,} times, and every time thresholds are chosen anew.",
    ]
