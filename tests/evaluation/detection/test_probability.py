"""Probability of detection by size: what it depends on, and what it says where it cannot say anything."""

import numpy as np
import pyarrow as pa
import pytest
from sized_scores import scores

from raylab2f.errors import UserError
from raylab2f.evaluation.detection.outcome import CURVE_SCHEMA, curve_table
from raylab2f.evaluation.detection.probability import probability_of_detection


def judged(table, **options):
    return probability_of_detection(table, **{"replicates": 100, **options})


def test_the_curve_rises_within_its_band_to_the_size_that_it_names():
    detection = judged(scores(slope=2.0, defective=200))
    found = detection.rows[0]
    assert found.smallest <= found.a90 <= found.a90_95 <= found.largest
    assert curve_table(detection).schema == CURVE_SCHEMA
    curve = curve_table(detection).to_pandas()
    assert (np.diff(curve["probability"]) >= -1e-12).all()
    assert ((curve["low"] <= curve["probability"]) & (curve["probability"] <= curve["high"])).all()
    near = curve.iloc[(curve["size"] - found.a90).abs().argmin()]
    assert near["probability"] == pytest.approx(0.9, abs=0.05)


def test_sizes_in_another_unit_give_the_same_curve_in_that_unit():
    one = scores(slope=2.0, defective=200)
    millimetres = pa.array([None if size is None else 25.4 * size for size in one["size"].to_pylist()])
    other = one.set_column(one.column_names.index("size"), "size", millimetres)
    first, second = judged(one).rows[0], judged(other).rows[0]
    assert second.a90 == pytest.approx(25.4 * first.a90)
    assert second.a90_95 == pytest.approx(25.4 * first.a90_95)
    assert (second.floor, second.ceiling) == pytest.approx((first.floor, first.ceiling))


def test_neither_the_order_of_rows_nor_names_matter():
    table = scores(slope=2.0)
    expected = judged(table).rows[0]
    shuffled = table.take(np.random.default_rng(0).permutation(len(table)))
    for name in ("image_id", "object_id"):
        renamed = pa.array([f"x{value}" for value in shuffled[name].to_pylist()])
        shuffled = shuffled.set_column(shuffled.column_names.index(name), name, renamed)
    found = judged(shuffled).rows[0]
    assert (found.a90, found.a90_95) == pytest.approx((expected.a90, expected.a90_95))


def test_what_a_person_looks_at_is_found():
    table = scores(slope=2.0)
    pair, low = (judged(table, strategy=name).rows[0] for name in ("fixed-pair:1.5,4.0", "fixed:1.5"))
    assert pair.found == low.found > judged(table, strategy="fixed:4.0").rows[0].found
    assert pair.a90 == low.a90


@pytest.mark.parametrize("level", ["object", "image"])
def test_types_have_curves_of_their_own(level):
    rows = judged(scores(slope=2.0), level=level).rows
    assert [row.defect_type for row in rows] == [None, "dent", "scratch"]
    assert [row.parts for row in rows] == [60, 30, 30]
    assert rows[0].judged == (60 if level == "object" else 120)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (scores(defective=6), "Of known size there are 6 defective parts"),
        (scores(sizes=np.full(60, 3.0)), "of nearly one size"),
        (scores(sizes=np.full(60, np.e**9)), "of nearly one size"),
        (scores(base=3.0, slope=-0.6), "Larger defects are not found more often"),
        (scores(base=50.0), "No defective part was missed"),
        (scores(base=-50.0), "Every defective part was missed"),
    ],
)
def test_what_the_data_cannot_give_is_told_instead_of_a_number(table, said):
    found = judged(table, strategy="target-fpr:0.2")
    assert found.rows[0].a90 is None
    assert found.rows[0].a90_95 is None
    assert said in found.rows[0].why_no_a90
    assert found.rows[0].curve.num_rows == 0
    assert any(said in sentence for sentence in found.sentences())


def test_a_bound_beyond_the_largest_defect_is_no_number():
    found = judged(scores(defective=20, good=40, slope=0.6)).rows[0]
    for size, why in ((found.a90, found.why_no_a90), (found.a90_95, found.why_no_a90_95)):
        assert (size is None) != (why is None)
        assert size is None or found.smallest <= size <= found.largest


def _sized(value):
    table = scores()
    values = [value if label else None for label in table["label"].to_pylist()]
    return table.set_column(table.column_names.index("size"), "size", pa.array(values))


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (scores().drop_columns(["size"]), "lacks the column size"),
        (_sized(-1.0), "has -1 for a defective picture"),
        (_sized(0.0), "has 0 for a defective picture"),
        (_sized("large"), "large"),
        (_sized(None), "has a size"),
    ],
)
def test_sizes_that_cannot_be_are_refused(table, said):
    with pytest.raises(UserError, match=said):
        judged(table)
