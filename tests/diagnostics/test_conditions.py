"""What a condition costs that was never seen: found where it is planted, not where there is none."""

import numpy as np
import pyarrow as pa
import pytest

from raylab2f.diagnostics import diagnose_conditions


def scores(seed, *, moved=0.0, spread=1.0, folds=4, parts=80):
    """Parts under two conditions, which several folds judge; without having seen `dark`, its scores are moved."""
    rng = np.random.default_rng(seed)
    hardness = np.random.default_rng(99).normal(size=parts)
    rows = []
    for fold in range(folds):
        for part in range(parts):
            for condition in ("bright", "dark"):
                label = int(part < 0.3 * parts)
                score = 2.5 * label + 0.7 * hardness[part] + spread * 0.5 * rng.normal()
                rows.append(
                    {
                        "fold": fold,
                        "partition": "inference" if (part + fold) % 2 else "threshold",
                        "object_id": f"part {part}",
                        "label": label,
                        "condition": condition,
                        "score": score + (moved if condition == "dark" else 0.0),
                    }
                )
    return pa.Table.from_pylist(rows)


THRESHOLDS = dict.fromkeys(range(4), 1.25)


@pytest.mark.parametrize("moved", [2.0, -2.0])
def test_a_planted_condition_is_found(moved):
    finding = diagnose_conditions(scores(1, moved=moved), THRESHOLDS, scores(2), THRESHOLDS, seed=0)
    assert (finding.verdict, finding.code) == ("fail", "RL109")
    assert "under the condition 'dark' are wrong" in finding.why
    assert finding.measure("gap[bright]").verdict == "pass"
    assert finding.evidence["condition"].to_pylist()[0] == "dark"


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_one_passes(seed):
    left_out, ordinary = scores(seed, parts=400), scores(seed + 50, parts=400)
    finding = diagnose_conditions(left_out, THRESHOLDS, ordinary, THRESHOLDS, seed=seed)
    assert finding.verdict == "pass"


def test_the_gap_is_the_mean_of_both_classes_over_parts_that_both_judged():
    left_out, ordinary = scores(1, moved=1.0), scores(2)
    finding = diagnose_conditions(left_out, THRESHOLDS, ordinary, THRESHOLDS, seed=0)
    shares = []
    for table in (left_out, ordinary):
        rows = table.to_pandas()
        rows = rows[(rows["partition"] == "inference") & (rows["condition"] == "dark")]
        rows["wrong"] = (rows["score"] >= 1.25) != (rows["label"] == 1)
        shares.append(rows.groupby(["label", "object_id"])["wrong"].mean())
    expected = (shares[0] - shares[1]).dropna().groupby("label").mean().mean()
    found = finding.measure("gap[dark]").estimate
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high


def test_the_order_of_rows_and_the_names_of_parts_do_not_matter():
    left_out, ordinary = scores(1, moved=1.0), scores(2)
    found = diagnose_conditions(left_out, THRESHOLDS, ordinary, THRESHOLDS, seed=0)
    order = np.random.default_rng(0).permutation(len(left_out))
    again = diagnose_conditions(left_out.take(order), THRESHOLDS, ordinary.take(order), THRESHOLDS, seed=0)
    assert again.to_dict() == found.to_dict()


def test_without_parts_that_both_judged_it_is_skipped():
    other = scores(2)
    other = other.set_column(2, "object_id", pa.array([f"other {name}" for name in other["object_id"].to_pylist()]))
    finding = diagnose_conditions(scores(1), THRESHOLDS, other, THRESHOLDS, seed=0)
    assert finding.verdict == "skip"
    assert diagnose_conditions(scores(1), {}, scores(2), THRESHOLDS, seed=0).verdict == "skip"
