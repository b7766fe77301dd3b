"""How many defective parts there can be among the accepted ones, from a stratified sample of them: an exact bound.

Wendell & Schmee, "Exact Inference for Proportions From a Stratified Finite Population", JASA 91 (1996): a total D of
defective parts is refuted if, however it is spread over the strata, an estimate as low as that which was found has a
probability of at most alpha. The number found in stratum h is hypergeometric, and the estimate is
`sum_h N_h x_h / n_h`. Whatever the true spread, it is among those looked at, so the bound is below the truth with a
probability of at most alpha, for any sizes of strata and samples. Of all bounds that never fall where that estimate
rises it is the lowest (Buehler, "Confidence Intervals for the Product of Two Binomial Parameters", JASA 52, 1957).

Where there are too many spreads they are looked at on a grid: a cell of it stands for all its spreads with the fewest
defective parts of any of them in each stratum, where the probability is highest, so the bound only rises by it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln

__all__ = ["MOST_STRATA", "largest_total", "p_value"]

#: Strata over which spreads are looked at.
MOST_STRATA = 3
# Cells of the grid in each of all strata but one.
_CELLS = 160
# Logarithms of factorials of a million are rounded in the ninth digit of what they give; to the safe side.
_ROUNDING = 1e-7


def largest_total(sizes: Sequence[int], looked: Sequence[int], found: Sequence[int], alpha: float) -> int:
    """Upper bound for the number of defective parts.

    Arguments:
        sizes: parts in each stratum, at most `MOST_STRATA` strata.
        looked: parts of each that were looked at; at least one where there are any.
        found: defective ones among those.
        alpha: in (0, 1), probability that the truth exceeds the bound.

    Returns:
        The largest total that is not refuted.
    """
    estimate = _estimate(sizes, looked, found)
    alpha *= 1 - _ROUNDING
    least = sum(found)
    most = sum(sizes) - sum(looked) + least
    if most == least:
        return least
    # Never refuted: what was found may be all there is. The p-value falls with the total; find where it passes alpha.
    low, step = least, 1
    while low + step <= most and p_value(sizes, looked, estimate, low + step) > alpha:
        low, step = low + step, 2 * step
    high = min(low + step, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if p_value(sizes, looked, estimate, middle) > alpha:
            low = middle
        else:
            high = middle
    return low


def p_value(sizes: Sequence[int], looked: Sequence[int], estimate: float, total: int) -> float:
    """Highest probability, over all spreads of a total, that the estimated total is at most as found.

    Arguments:
        sizes: parts in each stratum, at most `MOST_STRATA` strata.
        looked: parts of each that are looked at.
        estimate: `sum_h N_h x_h / n_h`.
        total: defective parts in all strata.

    Returns:
        In [0, 1]; 0 where the strata cannot hold so many.
    """
    strata = [(size, seen, size / seen) for size, seen in zip(sizes, looked, strict=True) if size]
    assert len(strata) <= MOST_STRATA
    if total > sum(size for size, _, _ in strata):
        return 0.0
    # Room for rounding; what is added to the set of low estimates only raises the probability.
    reach = estimate * (1 + 1e-9) + 1e-9
    while len(strata) < MOST_STRATA:
        # A stratum without parts, of which none are found.
        strata.append((0, 0, 1.0))
    # The largest stratum takes what the others leave, so that the grid is over the smaller ones.
    strata.sort(key=lambda stratum: stratum[0])
    (size_a, seen_a, weight_a), (size_b, seen_b, weight_b), (size_c, seen_c, weight_c) = strata
    corner_a, corner_b = _corners(min(size_a, total)), _corners(min(size_b, total))
    top_a, top_b = _tops(corner_a, min(size_a, total)), _tops(corner_b, min(size_b, total))
    # The fewest that the third stratum has in any spread of a cell.
    rest = np.maximum(total - top_a[:, None] - top_b[None, :], 0)
    possible = total - corner_a[:, None] - corner_b[None, :] >= 0
    # Otherwise the third stratum would be overfull in all spreads of the cell.
    possible &= rest <= size_c
    probability = np.zeros(rest.shape)
    different, place = np.unique(rest, return_inverse=True)
    place = place.reshape(rest.shape)
    mass_a = _masses(size_a, corner_a, seen_a, _most(reach, weight_a, seen_a))
    # Up to so many found in the second stratum; sums of rounded masses may pass 1.
    below_b = np.minimum(np.cumsum(_masses(size_b, corner_b, seen_b, _most(reach, weight_b, seen_b)), axis=1), 1.0)
    mass_c = _masses(size_c, different, seen_c, _most(reach, weight_c, seen_c))
    for number in range(mass_c.shape[1]):
        left = reach - number * weight_c
        # Of the first and the second stratum together, what is left allows.
        number_a = np.arange(_most(left, weight_a, seen_a) + 1)
        number_b = np.minimum((left - weight_a * number_a) / weight_b, seen_b).astype(np.int64)
        both = mass_a[:, : len(number_a)] @ below_b[:, number_b].T
        probability += mass_c[:, number][place] * both
    return float(min(1.0, probability[possible].max(initial=0.0)))


def _estimate(sizes: Sequence[int], looked: Sequence[int], found: Sequence[int]) -> float:
    return sum(size * hits / seen for size, seen, hits in zip(sizes, looked, found, strict=True) if size)


def _corners(most: int) -> np.ndarray:
    """From 0 to at most `most`, the least of each cell."""
    return np.arange(0, most + 1, max(1, -(-(most + 1) // _CELLS)))


def _tops(corners: np.ndarray, most: int) -> np.ndarray:
    return np.concatenate([corners[1:] - 1, [most]])


def _most(reach: float, weight: float, seen: int) -> int:
    return int(min(seen, np.floor(reach / weight)))


def _masses(size: int, defective: np.ndarray, seen: int, most: int) -> np.ndarray:
    """(d, most + 1) hypergeometric probabilities of 0 to `most` found, for each of (d,) numbers of defective parts."""
    hits = np.arange(most + 1)[None, :]
    bad = defective[:, None]
    ways = _log_binomial(bad, hits) + _log_binomial(size - bad, seen - hits)
    return np.asarray(np.exp(ways - _log_binomial(np.array(size), np.array(seen))))


def _log_binomial(parts: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    possible = (chosen >= 0) & (chosen <= parts)
    parts, chosen = np.where(possible, parts, 0), np.where(possible, chosen, 0)
    logs = gammaln(parts + 1) - gammaln(chosen + 1) - gammaln(parts - chosen + 1)
    return np.where(possible, logs, -np.inf)
