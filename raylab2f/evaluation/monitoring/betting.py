"""Evidence against exchangeability, from p-values that are independent and uniform under it.

A gambler starts with the capital 1 and bets on every p-value by functions whose mean under the uniform distribution is
1, so under exchangeability the capital is a martingale: the probability that it ever reaches 1/alpha is at most alpha
(Ville, 1939). It may be looked at after every part. He divides his capital among the bets of `BETS` and sleeping, and
before each p-value moves a share of all of it back to that division, so that he follows a change: a Simple Jumper with
more bets (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson & Gammerman, "Retrain or not retrain: conformal test martingales
for change-point detection", COPA 2021). Bets and shares were chosen by the delays in benchmarks/monitoring.md.

The Shiryaev-Roberts procedure of the same paper starts a new gambler at every part. The sum of their capitals less the
number of parts is a martingale, so within n parts it reaches c with a probability of at most n / c (Doob).
"""

from __future__ import annotations

import numpy as np

__all__ = ["BETS", "log10_capital", "log10_shiryaev_roberts"]

#: What is betted on, each as (kind, strength): `slope` on p (negative: higher values than in the reference), `fold` on
#: the distance of p from the middle (positive: wider spread), `tail` on p below the strength: more of the highest ones.
BETS = (
    *(("slope", strength) for strength in (-2.0, -0.8, 0.8, 2.0)),
    *(("fold", strength) for strength in (-1.0, 0.8, 2.0)),
    *(("tail", strength) for strength in (0.02, 0.1)),
)
_JUMPING = 1e-3
# Of the starting capital.
_SLEEPING = 0.3
# So many p-values have their payoffs computed together.
_AT_ONCE = 4096


def log10_capital(p_values: np.ndarray) -> np.ndarray:
    """The gambler's capital after every p-value, as its logarithm to the base of 10.

    Arguments:
        p_values: (n, ...) in [0, 1]; streams side by side are betted on each for itself.

    Returns:
        (n, ...) the logarithms; above 0 where there is evidence against exchangeability.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    streams = p_values.shape[1:]
    shares = np.array([_SLEEPING, *[(1 - _SLEEPING) / len(BETS)] * len(BETS)])
    back = _JUMPING * shares
    held = np.broadcast_to(shares, (*streams, len(shares))).copy()
    totals = np.empty((*p_values.shape, 1))
    chunk = max(1, _AT_ONCE // max(1, int(np.prod(streams))))
    for start in range(0, len(p_values), chunk):
        for place, payoff in enumerate(_payoffs(p_values[start : start + chunk]), start):
            # What is held sums up to 1, so this moves the jumping share of it.
            held *= 1 - _JUMPING
            held += back
            held *= payoff
            held /= np.add.reduce(held, axis=-1, keepdims=True, out=totals[place])
    return np.asarray(np.cumsum(np.log10(totals[..., 0]), axis=0))


_SLOPES = np.array([strength for kind, strength in BETS if kind == "slope"])
_FOLDS = np.array([strength for kind, strength in BETS if kind == "fold"])
_TAILS = np.array([strength for kind, strength in BETS if kind == "tail"])


def _payoffs(p: np.ndarray) -> np.ndarray:
    """(..., 1 + k) what one unit becomes asleep and by each of `BETS`; of mean 1 over uniform p, never below 0."""
    p = p[..., None]
    fold = np.abs(2 * p - 1) - 0.5
    # Twice as many in the tail as under the uniform distribution.
    tail = 1 + (p <= _TAILS) / (1 - _TAILS) - _TAILS / (1 - _TAILS)
    return np.concatenate([np.ones_like(p), 1 + (p - 0.5) * _SLOPES, 1 + fold * _FOLDS, tail], axis=-1)


def log10_shiryaev_roberts(log10_capitals: np.ndarray) -> np.ndarray:
    """The Shiryaev-Roberts statistic `R_n = (1 + R_{n-1}) S_n / S_{n-1}` of capitals S, as its logarithm to base 10.

    Arguments:
        log10_capitals: (n, ...) from `log10_capital`; the capital before is 1.

    Returns:
        (n, ...) the logarithms. Under exchangeability R reaches c within n p-values with a probability of at most
        n / c, and on average no sooner than after c of them.
    """
    # R_n = S_n (1 / S_0 + ... + 1 / S_{n-1}).
    logs = np.asarray(log10_capitals, dtype=np.float64) * np.log(10)
    before = np.concatenate([np.zeros_like(logs[:1]), logs[:-1]]) if len(logs) else logs
    return np.asarray((logs + np.logaddexp.accumulate(-before, axis=0)) / np.log(10))
