"""Detectors in the order of a metric, honest about ties: who is shown to be worse than whom, by Holm's adjustment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raylab2f.errors import UserError
from raylab2f.evaluation.comparison.runs import Comparison, Difference
from raylab2f.evaluation.outcomes.metrics import lower_is_better

__all__ = ["Ranked", "rank"]


@dataclass(frozen=True)
class Ranked:
    """One run's place.

    Arguments:
        run: its name.
        rank: one more than the number of runs that are shown to be better; ties share a rank.
        mean: the estimate.
        worse_than: runs that are shown to be better, best first.
        tied_with: runs of which neither is shown to be better, best first.
    """

    run: str
    rank: int
    mean: float
    worse_than: tuple[str, ...]
    tied_with: tuple[str, ...]


def rank(comparison: Comparison, metric: str, level: str = "object", strategy: str | None = None) -> tuple[Ranked, ...]:
    """Order runs by a metric.

    One run is shown to be better than another where the paired bootstrap's p value, adjusted by Holm for all
    differences of the comparison, is below one minus its confidence. So the chance that anybody is ranked above an
    equal is at most that. Ties are not transitive: a run may be tied with two of which one is shown to be better than
    the other.

    Arguments:
        comparison: of all pairs of the runs, in this metric at least.
        metric, level: as in a summary.
        strategy: `None`: the first that has the metric.

    Returns:
        The runs, best estimate first.

    Raises:
        UserError: the runs were not compared by this metric, or it is undefined for some.
    """
    rows = [row for row in comparison.differences if (row.metric, row.level) == (metric, level)]
    if strategy is None and rows:
        strategy = rows[0].strategy
    rows = [row for row in rows if row.strategy == strategy]
    means = {row.first: row.first_mean for row in rows} | {row.second: row.second_mean for row in rows}
    if missing := [run for run in comparison.runs if run not in means]:
        raise UserError(f"{missing[0]} has no {metric} at {level} level to be ranked by; compare by another metric.")
    sign = -1.0 if lower_is_better(metric) else 1.0
    order = sorted(comparison.runs, key=lambda run: -sign * means[run])
    alpha = 1 - comparison.settings["confidence"]
    better = {run: _better_than(run, rows, sign, alpha) for run in order}
    ranked = []
    for run in order:
        above = tuple(other for other in order if other in better[run])
        tied = tuple(other for other in order if other != run and other not in above and run not in better[other])
        ranked.append(Ranked(run, 1 + len(above), means[run], above, tied))
    return tuple(ranked)


def _better_than(run: str, rows: Sequence[Difference], sign: float, alpha: float) -> set[str]:
    """Those that are shown to be better than a run."""
    found = set()
    for row in rows:
        if run not in (row.first, row.second) or row.bootstrap_p_holm is None or row.bootstrap_p_holm >= alpha:
            continue
        lead = sign * row.difference
        if row.first == run and lead < 0:
            found.add(row.second)
        elif row.second == run and lead > 0:
            found.add(row.first)
    return found
