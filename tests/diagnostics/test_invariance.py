import numpy as np
import pyarrow as pa
import pytest

from raylab2f.diagnostics import ALTERATIONS, diagnose_invariance
from raylab2f.diagnostics.invariance import dose_responses

THRESHOLDS = {0: 1.0, 1: 2.0}
NOTHING = pa.schema(
    [
        ("fold", pa.int64()),
        ("image_id", pa.string()),
        ("object_id", pa.string()),
        ("score", pa.float64()),
        ("trained", pa.bool_()),
    ]
).empty_table()


def rescored(alarm_rate):
    """Every alteration of 40 pictures of 20 objects in two folds; `alarm_rate(alteration, dose)` of them above."""
    rng = np.random.default_rng(0)
    rows = []
    doses = {"none": (0.0,)} | {name: spec.doses for name, spec in ALTERATIONS.items()}
    for fold, threshold in THRESHOLDS.items():
        for name, values in doses.items():
            for dose in values:
                rows += [
                    {
                        "fold": fold,
                        "image_id": f"{number}.png",
                        "object_id": f"part{number // 2}",
                        "alteration": name,
                        "dose": float(dose),
                        "score": threshold + (0.5 if rng.random() < alarm_rate(name, dose) else -0.5),
                    }
                    for number in range(40)
                ]
    return pa.Table.from_pylist(rows)


def test_a_detector_that_minds_nothing_passes():
    finding = diagnose_invariance(NOTHING, THRESHOLDS, rescored(lambda name, dose: 0.05), seed=0)
    assert finding.verdict == "pass"


def test_everyday_doses_fail_and_rare_ones_warn():
    everyday = rescored(lambda name, dose: 0.8 if (name, dose) == ("brightness", 0.1) else 0.05)
    finding = diagnose_invariance(NOTHING, THRESHOLDS, everyday, seed=0)
    assert (finding.verdict, finding.figure.name) == ("fail", "brightness everyday")
    rare = rescored(lambda name, dose: 0.9 if (name, dose) == ("rotation", 180) else 0.05)
    finding = diagnose_invariance(NOTHING, THRESHOLDS, rare, seed=0)
    assert (finding.verdict, finding.figure.name) == ("warn", "rotation rare")


def test_what_the_user_expects_fails():
    rare = rescored(lambda name, dose: 0.9 if (name, dose) == ("rotation", 180) else 0.05)
    finding = diagnose_invariance(NOTHING, THRESHOLDS, rare, {"rotation": 180}, seed=0)
    assert (finding.verdict, finding.figure.name) == ("fail", "rotation everyday")


@pytest.mark.parametrize("said", [90, 180, 270])
def test_a_quarter_turn_the_other_way_is_a_quarter_turn(said):
    turned = rescored(lambda name, dose: 0.9 if (name, dose) == ("rotation", 270) else 0.05)
    finding = diagnose_invariance(NOTHING, THRESHOLDS, turned, {"rotation": said}, seed=0)
    assert (finding.verdict, finding.figure.name) == ("fail", "rotation everyday")
    half = rescored(lambda name, dose: 0.9 if (name, dose) == ("rotation", 180) else 0.05)
    finding = diagnose_invariance(NOTHING, THRESHOLDS, half, {"rotation": said}, seed=0)
    assert finding.figure.name == ("rotation rare" if said == 90 else "rotation everyday")


def test_responses_are_ordered_and_relative_to_the_pictures_as_they_are():
    rows = dose_responses(
        rescored(lambda name, dose: 0.9 if name == "noise" and dose == 4 else 0.1), THRESHOLDS, seed=0
    )
    first = rows.to_pylist()[0]
    assert (first["alteration"], first["dose"]) == ("noise", 4)
    assert 0.7 < first["low"] < first["increase"] < first["high"] or first["increase"] > 0.7
    assert rows.num_rows == sum(len(spec.doses) for spec in ALTERATIONS.values())


def scores(unseen_alarms):
    rng = np.random.default_rng(0)
    rows = [
        {
            "fold": fold,
            "image_id": f"{number}-{seen}.png",
            "object_id": f"part{number}",
            "score": THRESHOLDS[fold] + (1 if rng.random() < (0.1 if seen else unseen_alarms) else -1),
            "trained": seen,
        }
        for fold in THRESHOLDS
        for number in range(30)
        for seen in (True, False)
    ]
    return pa.Table.from_pylist(rows)


def test_turns_that_never_trained_are_expected_where_evaluation_has_them():
    finding = diagnose_invariance(scores(0.9), THRESHOLDS, seed=0)
    assert (finding.verdict, finding.figure.name) == ("fail", "unseen-views")
    assert diagnose_invariance(scores(0.1), THRESHOLDS, seed=0).verdict == "pass"


def test_one_alarm_among_two_parts_is_no_failure():
    """Three objects are the fewest with an interval; without one nothing tells an alarm from chance."""
    rows = [row for row in scores(0.0).to_pylist() if row["fold"] == 0 and row["object_id"] in ("part0", "part1")]
    for row in rows:
        row["score"] = 2.0 if (row["object_id"], row["trained"]) == ("part0", False) else 0.0
    finding = diagnose_invariance(pa.Table.from_pylist(rows), THRESHOLDS, seed=0)
    assert finding.figure.estimate.value == 0.5
    assert finding.verdict == "warn"


def test_nothing_to_look_at_is_skipped():
    assert diagnose_invariance(NOTHING, THRESHOLDS, seed=0).verdict == "skip"
