"""The bound of an audit, over all small populations: never below the truth more often than promised."""

from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from raylab2f.evaluation.monitoring import audit_bound
from raylab2f.evaluation.monitoring.audit_bound import largest_total, p_value

DESIGNS = [
    ((9,), (4,)),
    ((3, 8), (2, 3)),
    ((6, 6), (1, 5)),
    ((2, 12), (2, 4)),
    ((1, 9), (1, 1)),
    ((3, 4, 6), (2, 2, 3)),
    ((2, 3, 9), (1, 1, 4)),
]


@cache
def probability(found, size, defective, seen):
    return hypergeom.pmf(found, size, defective, seen)


@cache
def outcomes(sizes, looked, defective):
    """What may be found, with its probability."""
    masses = {
        found: np.prod([probability(*of) for of in zip(found, sizes, defective, looked, strict=True)])
        for found in product(*(range(seen + 1) for seen in looked))
    }
    return [(found, mass) for found, mass in masses.items() if mass > 0]


@cache
def estimated(sizes, looked, found):
    return sum(size * hits / seen for size, seen, hits in zip(sizes, looked, found, strict=True))


@pytest.mark.parametrize(("sizes", "looked"), DESIGNS)
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_of_all_small_populations_each_is_covered(sizes, looked, alpha):
    bounds = {
        found: largest_total(sizes, looked, found, alpha) for found in product(*(range(seen + 1) for seen in looked))
    }
    for defective in product(*(range(size + 1) for size in sizes)):
        missed = sum(mass for found, mass in outcomes(sizes, looked, defective) if bounds[found] < sum(defective))
        assert missed <= alpha + 1e-9


@pytest.mark.parametrize(("sizes", "looked"), DESIGNS)
def test_the_p_value_is_the_highest_of_all_spreads(sizes, looked):
    for total in range(sum(sizes) + 1):
        spreads = [each for each in product(*(range(size + 1) for size in sizes)) if sum(each) == total]
        for found in product(*(range(seen + 1) for seen in looked)):
            estimate = estimated(sizes, looked, found)

            def as_low(spread, estimate=estimate):
                known = outcomes(sizes, looked, spread)
                return sum(mass for other, mass in known if estimated(sizes, looked, other) <= estimate + 1e-9)

            expected = max(map(as_low, spreads))
            assert p_value(sizes, looked, estimate, total) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("size", "seen", "found"), [(50, 20, 0), (1000, 80, 3), (7, 7, 2), (10_000, 300, 1)])
def test_one_stratum_is_the_hypergeometric_bound(size, seen, found):
    totals = np.arange(found, size - seen + found + 1)
    expected = totals[hypergeom.cdf(found, size, totals, seen) > 0.05].max()
    assert largest_total((size,), (seen,), (found,), 0.05) == expected


@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=3),
    portion=st.floats(0.05, 1),
    bad=st.floats(0, 0.5),
    cells=st.integers(2, 20),
)
def test_a_coarser_grid_only_raises_the_bound(sizes, portion, bad, cells):
    looked = [max(1, round(size * portion)) for size in sizes]
    found = [round(seen * bad) for seen in looked]
    fine = largest_total(sizes, looked, found, 0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_bound, "_CELLS", cells)
        assert largest_total(sizes, looked, found, 0.05) >= fine
    assert fine >= sum(found)
    assert fine <= sum(sizes) - sum(looked) + sum(found)


def test_all_looked_at_is_known():
    assert largest_total((5, 10), (5, 10), (1, 2), 0.05) == 3


def test_more_found_never_lowers_the_bound():
    sizes, looked = (40, 160), (20, 40)
    bounds = np.array([[largest_total(sizes, looked, (a, b), 0.05) for b in range(6)] for a in range(6)])
    assert (np.diff(bounds, axis=0) >= 0).all()
    assert (np.diff(bounds, axis=1) >= 0).all()


def test_rare_defects_near_the_threshold_are_covered_in_a_large_population():
    sizes, looked, total = (1000, 9000), (130, 585), 60
    near = np.arange(total + 1)
    found = np.random.default_rng(0).hypergeometric(total, sizes[0] - total, looked[0], 2000)
    bounds = np.array([largest_total(sizes, looked, (hits, 0), 0.05) for hits in near[: found.max() + 1]])
    assert (bounds[found] >= total).mean() >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 2000)
