"""A reference with the share of defective parts that a line has; an evaluation has many more of them."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from raylab2f.errors import UserError

__all__ = ["draw_at_prevalence"]


def draw_at_prevalence(label: np.ndarray, prevalence: float, failure: float, rng: np.random.Generator) -> np.ndarray:
    """As many parts as can be drawn so that they are independent draws of a line with that prevalence.

    The number of defective ones among n is drawn from the binomial distribution, then the parts without replacement. n
    is the largest for which the class of either kind runs out with a probability of at most `failure`.

    Arguments:
        label: (m,) 1 where defective, 0 where good; others are never drawn.
        prevalence: share of defective parts at the line, in [0, 1].
        failure: probability that what is drawn is not as said, in (0, 1).
        rng: for the draws.

    Returns:
        (n,) places of the parts drawn, ascending.

    Raises:
        UserError: the reference has too few parts of a kind.
    """
    if not 0 <= prevalence <= 1:
        raise UserError(f"The prevalence is {prevalence}; it is a share from 0 to 1.")
    places = [np.flatnonzero(label == kind) for kind in (0, 1)]
    good, bad = map(len, places)
    # Both tails grow with the number of parts.
    parts = np.arange(1, good + bad + 1)
    runs_out = binom.cdf(parts - good - 1, parts, prevalence) + binom.sf(bad, parts, prevalence)
    size = int((runs_out <= failure).sum())
    if size == 0:
        raise UserError(
            f"The reference has {good} good and {bad} defective parts, too few for a prevalence of {prevalence:g}; "
            "evaluate more parts."
        )
    drawn = int(np.clip(rng.binomial(size, prevalence), size - good, bad))
    chosen = [rng.permutation(places[0])[: size - drawn], rng.permutation(places[1])[:drawn]]
    return np.sort(np.concatenate(chosen))
