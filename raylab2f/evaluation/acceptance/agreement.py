"""Attribute agreement: the table by which quality engineers judge inspectors, with what it lacks, intervals.

Figures and classes are those of the Automotive Industry Action Group's "Measurement Systems Analysis" (4th edition,
2010, chapter III, section C); kappa's are from its text there. A class is named only if the whole interval lies inside.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AGREEMENT", "AGREEMENT_CONFIDENCE", "AgreementRow", "agreement_row"]

#: Of the table's intervals.
AGREEMENT_CONFIDENCE = 0.95

_WORDS = ("acceptable", "marginal", "unacceptable")


@dataclass(frozen=True)
class _Figure:
    """What it is called there, and the bounds of its classes: good beyond the first, bad beyond the second."""

    name: str
    good: float
    bad: float
    lower_is_better: bool = False


#: By metric.
AGREEMENT = {
    "accuracy": _Figure("effectiveness", 0.9, 0.8),
    "escape_rate": _Figure("miss rate", 0.02, 0.05, lower_is_better=True),
    "overkill_rate": _Figure("false alarm rate", 0.05, 0.1, lower_is_better=True),
    "kappa": _Figure("kappa", 0.75, 0.4),
}


@dataclass(frozen=True)
class AgreementRow:
    """One figure of the table.

    Arguments:
        name: as quality engineers call it.
        metric: as a summary calls it.
        estimate, low, high: with its two-sided interval; `None` where there is none.
        judged: `acceptable`, `marginal` or `unacceptable`; `None`: the interval reaches into two classes.
    """

    name: str
    metric: str
    estimate: float | None
    low: float | None
    high: float | None
    judged: str | None


def agreement_row(metric: str, estimate: float | None, low: float | None, high: float | None) -> AgreementRow:
    """The row of a metric of `AGREEMENT`."""
    figure = AGREEMENT[metric]
    judged = None
    if low is not None and high is not None:
        ends = [_class(figure, end) for end in (low, high)]
        judged = _WORDS[ends[0]] if ends[0] == ends[1] else None
    return AgreementRow(figure.name, metric, estimate, low, high, judged)


def _class(figure: _Figure, value: float) -> int:
    """0 to 2; the bounds themselves belong to the better class."""
    sign = -1 if figure.lower_is_better else 1
    return int(sign * value < sign * figure.good) + int(sign * value < sign * figure.bad)
