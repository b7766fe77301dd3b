import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.preparation.views import kept_views

ANGLES = ["0", "30", "60", "090", "120"]


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ("0:30", {"0", "30"}),
        ("60:", {"60", "090", "120"}),
        (":30", {"0", "30"}),
        ("90", {"090"}),
        ("0, 100:120", {"0", "120"}),
        ("30.0", {"30"}),
    ],
)
def test_ranges_and_lists_of_numeric_views(rule, kept):
    assert kept_views(rule, ANGLES) == kept


def test_names():
    assert kept_views("front,a:b", ["front", "back", "a:b"]) == {"front", "a:b"}


@given(low=st.integers(-20, 20), high=st.integers(-20, 20), views=st.sets(st.integers(-20, 20), min_size=1))
def test_a_range_keeps_what_lies_in_it(low, high, views):
    inside = {str(view) for view in views if low <= view <= high}
    if inside:
        assert kept_views(f"{low}:{high}", map(str, views)) == inside
    else:
        with pytest.raises(UserError, match="--keep-views"):
            kept_views(f"{low}:{high}", map(str, views))


@pytest.mark.parametrize(
    ("rule", "views", "sentence"),
    [
        ("45", ANGLES, "no picture has a view 45; there are 0, 30"),
        ("30:0", ANGLES, "30:0 is no range"),
        ("a:30", ANGLES, "a:30 is no range"),
        ("0:30", ["0", "front"], "front is no number"),
        ("0:30", ["0", None], "--views"),
        ("", ANGLES, "no picture has a view"),
        ("nan", ANGLES, "no picture has a view nan"),
    ],
)
def test_mistakes(rule, views, sentence):
    with pytest.raises(UserError, match=sentence):
        kept_views(rule, views)
