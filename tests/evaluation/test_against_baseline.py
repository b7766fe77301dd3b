"""A detector beside the nearest neighbour: whose figure is whose, and when a warning is due."""

import numpy as np
import pyarrow as pa
import pytest

from raylab2f.evaluation import evaluate, with_baseline

RULES = {"strategies": ("youden",), "replicates": 300}


def made(separation, baseline_separation, *, folds=2, objects=80, per_object=1):
    """Scores of a detector and of a baseline, on the same folds."""
    generator = np.random.default_rng(0)
    rows, other = [], []
    for fold in range(folds):
        for number in range(objects):
            label = number % 2
            for picture in range(per_object):
                image_id = f"{number}-{picture}.png"
                partition = "threshold" if (number // 2 + fold) % 2 else "inference"
                noise = generator.normal(size=2)
                rows.append(
                    {
                        "fold": fold,
                        "partition": partition,
                        "image_id": image_id,
                        "object_id": f"part{number}",
                        "label": label,
                        "score": separation * label + noise[0],
                    }
                )
                score = baseline_separation * label + noise[1]
                other.append({"fold": fold, "image_id": image_id, "score": score})
    # In another order: rows are matched by fold and picture.
    return pa.Table.from_pylist(rows), pa.Table.from_pylist(other[::-1])


def rows_of(separation, baseline_separation, mute=(), **options):
    table, baseline = made(separation, baseline_separation, **options)
    plain = evaluate(table, detector="glass", **RULES)
    return plain, with_baseline(plain, table, baseline, mute)


def test_a_better_detector_is_shown_so_and_nothing_else_changes():
    plain, summary = rows_of(3.0, 0.5, per_object=2)
    assert [row.level for row in summary.baseline] == ["image", "object"]
    for row in summary.baseline:
        own = plain.find("auroc", level=row.level)
        assert row.mean + row.difference == pytest.approx(own.mean)
        assert row.low < row.mean < row.high
        assert 0 < row.difference_low < row.difference < row.difference_high
    assert summary.estimates == plain.estimates
    assert summary.warnings == plain.warnings
    assert summary.to_dict()["baseline"][0]["name"] == "nearest neighbour"


def test_a_detector_that_is_no_better_is_told_once():
    _, summary = rows_of(0.5, 3.0, per_object=2)
    [caution] = [warning for warning in summary.warnings if warning.code == "RL314"]
    row = summary.baseline[0]
    assert f"{row.mean:.3f}" in caution
    assert "glass" in caution
    _, muted = rows_of(0.5, 3.0, mute=("RL314",))
    assert [warning.code for warning in muted.muted] == ["RL314"]
    assert "RL314" not in {warning.code for warning in muted.warnings}


def test_equal_scores_are_no_better():
    table, _ = made(2.0, 0.0)
    plain = evaluate(table, **RULES)
    summary = with_baseline(plain, table, table.select(["fold", "image_id", "score"]))
    assert all(row.difference == 0 for row in summary.baseline)
    assert "RL314" in {warning.code for warning in summary.warnings}


def test_where_both_separate_perfectly_none_is_told_to_be_better():
    _, summary = rows_of(50.0, 50.0)
    assert [row.mean for row in summary.baseline] == [1.0, 1.0]
    assert "RL314" not in {warning.code for warning in summary.warnings}
    _, summary = rows_of(1.0, 50.0)
    assert "RL314" in {warning.code for warning in summary.warnings}


def test_where_no_object_is_good_pictures_are_compared():
    table, baseline = made(2.0, 1.0, per_object=4)
    # Every part has a defective picture.
    label = [int(name.endswith("-0.png")) for name in table["image_id"].to_pylist()]
    table = table.set_column(table.schema.get_field_index("label"), "label", pa.array(label))
    plain = evaluate(table, **RULES)
    assert {row.level for row in plain.estimates} == {"image"}
    assert [row.level for row in with_baseline(plain, table, baseline).baseline] == ["image"]
