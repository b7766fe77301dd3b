"""A rate now beside that of the evaluation: a confidence sequence, which may be looked at after every part.

The number of hits among n independent parts of rate p is betted on by the mixture of all rates with the weights of
Jeffreys' distribution, `M_n(p) = B(x + 1/2, n - x + 1/2) / (B(1/2, 1/2) p^x (1 - p)^(n - x))`, a martingale with mean 1
where p is the rate (Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm", 1970; Howard, Ramdas,
McAuliffe & Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49, 2021).
By Ville's inequality the rates with `M_n(p) < 1/alpha` hold the true one at all n at once with a probability of at
least 1 - alpha, and so do the rates that they have in common over all n (Waudby-Smith & Ramdas, "Estimating means of
bounded random variables by betting", JRSS B 86, 2024).
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, xlog1py, xlogy

__all__ = ["confidence_sequence", "log10_rate_evidence"]

_STEPS = 50


def confidence_sequence(found: np.ndarray, seen: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Running lower and upper ends for the rate of a stream.

    Arguments:
        found: (n,) hits until each look.
        seen: (n,) parts until each look, above 0, ascending.
        alpha: in (0, 1), the probability that the truth is ever left out, at any of any number of looks.

    Returns:
        (n,) lower ends, which never fall, and (n,) upper ends, which never rise. Where the truth is left out, or the
        rate drifts, a lower end may pass an upper one.
    """
    found, seen = np.asarray(found, dtype=np.float64), np.asarray(seen, dtype=np.float64)
    rate, limit = found / seen, -np.log(alpha)
    ends = []
    for outside in (0.0, 1.0):
        # Evidence grows from the observed rate outwards; where it stays below the limit, the end is 0 or 1.
        inner, outer = rate.copy(), np.full_like(rate, outside)
        with np.errstate(divide="ignore"):
            reached = _log_mixture(found, seen, outer) >= limit
        for _ in range(_STEPS):
            middle = (inner + outer) / 2
            beyond = _log_mixture(found, seen, middle) >= limit
            outer, inner = np.where(beyond, middle, outer), np.where(beyond, inner, middle)
        # The outer bracket is the one that has surely reached the limit.
        ends.append(np.where(reached, outer, outside))
    return np.maximum.accumulate(ends[0]), np.minimum.accumulate(ends[1])


def log10_rate_evidence(hits: np.ndarray, low: float, high: float) -> np.ndarray:
    """Evidence that the rate of a stream lies outside of [low, high].

    Arguments:
        hits: (n,) bool, in order of arrival.
        low: lower end, in [0, 1].
        high: upper end, in [low, 1].

    Returns:
        (n,) log10 of the least `M_n(p)` over p from low to high. With a probability of at least 1 - alpha it stays
        below log10(1 / alpha) for ever, if the rate is in there; it reaches that where the rates with M_n(p) below it
        are all outside.
    """
    found = np.cumsum(hits, dtype=np.float64)
    seen = np.arange(1, len(found) + 1, dtype=np.float64)
    return np.asarray(_log_mixture(found, seen, np.clip(found / seen, low, high)) / np.log(10))


def _log_mixture(found: np.ndarray, seen: np.ndarray, rate: np.ndarray) -> np.ndarray:
    mixture = betaln(found + 0.5, seen - found + 0.5) - betaln(0.5, 0.5)
    return np.asarray(mixture - xlogy(found, rate) - xlog1py(seen - found, -rate))
