"""Tables of judged pictures as parts in order of arrival."""

from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation.monitoring.parts import DECISIONS, read_parts


def table(**columns):
    count = len(next(iter(columns.values())))
    return pa.table({"image_id": [f"{place}.png" for place in range(count)], "score": [0.5] * count, **columns})


def test_a_part_has_the_maximum_of_its_pictures_and_the_severest_decision():
    parts = read_parts(
        table(
            object_id=["b", "a", "b", "a", "c"],
            score=[1.0, 5.0, 3.0, 4.0, 0.0],
            familiarity=[2.0, None, 1.0, float("nan"), 7.0],
            decision=["accept", "Review", "reject", "accepted", "?"],
            condition=["day", "night", "night", "night", None],
            label=["good", "good", "defective", "good", None],
        ),
        "It",
    )
    assert parts.name.tolist() == ["b", "a", "c"]
    assert parts.score.tolist() == [3.0, 5.0, 0.0]
    np.testing.assert_array_equal(parts.familiarity, [2.0, np.nan, 7.0])
    assert [DECISIONS[code] if code >= 0 else None for code in parts.decision] == ["reject", "review", None]
    assert parts.condition.tolist() == ["day", "night", ""]
    assert parts.label.tolist() == [1, 0, -1]
    assert parts.left_out == {}
    assert parts.pictures == 5


LATE = datetime(2026, 3, 1, 22)


@pytest.mark.parametrize(
    ("day", "scores"),
    [
        (["2026-03-02", "2026-03-01T22:00:00", "2026-03-01", "2026-03-02"], [3.0, 2.0, 1.0, 4.0]),
        ([date(2026, 3, 2), date(2026, 3, 1), date(2026, 3, 1), date(2026, 3, 2)], [2.0, 3.0, 1.0, 4.0]),
        ([datetime(2026, 3, 2), LATE, datetime(2026, 3, 1), datetime(2026, 3, 2)], [3.0, 2.0, 1.0, 4.0]),
        (["2026-03-02T01:00:00Z", "2026-03-01", "2026-03-01", "2026-03-02T01:00:00+02:00"], [2.0, 3.0, 1.0, 4.0]),
    ],
)
def test_days_are_in_order_and_within_them_moments_and_rows(day, scores):
    parts = read_parts(table(day=day, score=[1.0, 2.0, 3.0, 4.0]), "It")
    assert parts.day.tolist() == ["2026-03-01", "2026-03-01", "2026-03-02", "2026-03-02"]
    assert parts.score.tolist() == scores


def test_moments_of_a_zone_have_the_day_of_that_zone():
    moments = pa.array([LATE, datetime(2026, 3, 1, 23, 30)]).cast(pa.timestamp("us", "UTC"))
    parts = read_parts(table(day=moments.cast(pa.timestamp("us", "Europe/Stockholm"))), "It")
    assert parts.day.tolist() == ["2026-03-01", "2026-03-02"]


def test_a_part_that_comes_again_on_a_later_day_stays_as_it_was():
    days = ["2026-03-01", "2026-03-02", "2026-03-02", "2026-03-01"]
    parts = read_parts(table(object_id=["a", "a", "b", "a"], score=[1.0, 9.0, 3.0, 2.0], day=days), "It")
    assert parts.name.tolist() == ["a", "b"]
    assert parts.score.tolist() == [2.0, 3.0]
    assert parts.left_out == {"of parts that were there on an earlier day": 1}


def test_rows_that_cannot_be_read_are_left_out_and_counted():
    parts = read_parts(
        pa.table(
            {
                "image_id": ["a", None, "c", "d", "e", "f"],
                "score": ["1.5", "2", "nan", "high", None, "3"],
                "day": ["2026-03-01", "2026-03-01", "2026-03-01", "2026-03-01", "2026-03-01", "yesterday"],
            }
        ),
        "It",
    )
    assert parts.name.tolist() == ["a"]
    assert parts.left_out == {
        "without a finite score": 3,
        "without a name of the picture or object": 1,
        "without a day that can be read": 1,
    }


@given(data=st.data(), count=st.integers(1, 40))
def test_every_row_is_used_or_counted(data, count):
    score = data.draw(st.lists(st.floats(width=32), min_size=count, max_size=count))
    owner = data.draw(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=count, max_size=count))
    day = data.draw(st.lists(st.sampled_from(["2026-01-01", "2026-01-02", "?"]), min_size=count, max_size=count))
    rows = table(score=score, object_id=owner, day=day)
    if not any(np.isfinite(s) and o and d != "?" for s, o, d in zip(score, owner, day, strict=True)):
        with pytest.raises(UserError, match="no row that can be read"):
            read_parts(rows, "It")
        return
    parts = read_parts(rows, "It")
    assert parts.pictures + sum(parts.left_out.values()) == count
    assert len(set(parts.name.tolist())) == len(parts.name)
    assert np.isfinite(parts.score).all()
    assert parts.day.tolist() == sorted(parts.day.tolist())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (pa.table({"image_id": ["a"]}), "It lacks the column score"),
        (pa.table({"picture": ["a"], "anomaly": [1.0]}), "It lacks the columns image_id and score"),
        (table(score=[]), "It is empty"),
        (table(score=[float("nan")] * 2), r"no row that can be read \(2 without a finite score\)"),
        (table(score=[[1.0]]), "holds list"),
        (table(score=[True]), "holds bool"),
        (pa.table({"image_id": ["a", "a"], "score": [1.0, 2.0]}), "has the picture 'a' more than once"),
        (pa.table({"image_id": ["a"], "score": [1.0], "Score": [1.0]}), "could each be score"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(wrong, said):
    with pytest.raises(UserError, match=said):
        read_parts(wrong, "It")
