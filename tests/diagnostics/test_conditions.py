"""What a condition costs that was never seen: found where it is planted, not where there is none."""

import numpy as np
import pyarrow as pa
import pytest

from raylab2f.diagnostics import diagnose_conditions
from raylab2f.diagnostics.choosing import choosing_ranking, weighted_thresholds
from raylab2f.evaluation.decisions.object_scores import aggregate_scores, parse_object_score
from raylab2f.evaluation.decisions.strategies import parse_strategy
from raylab2f.evaluation.decisions.thresholds import choose_threshold
from raylab2f.evaluation.intervals.bootstrap import object_weights


def scores(seed, *, moved=None, spread=1.0, folds=4, parts=80):
    """Parts under two conditions, which several folds judge; with `moved` those of a run in which folds leave the
    conditions out in turns, and the scores of `dark`, where it was never seen, are moved.
    """
    rng = np.random.default_rng(seed)
    hardness = np.random.default_rng(99).normal(size=parts)
    rows = []
    for fold in range(folds):
        for part in range(parts):
            for number, condition in enumerate(("bright", "dark")):
                judges = bool((part + fold // 2) % 2)
                if moved is not None and judges != (number == fold % 2):
                    continue
                label = int(part < 0.3 * parts)
                score = 2.5 * label + 0.7 * hardness[part] + spread * 0.5 * rng.normal()
                rows.append(
                    {
                        "fold": fold,
                        "partition": "inference" if judges else "threshold",
                        "object_id": f"part {part}",
                        "label": label,
                        "condition": condition,
                        "score": score + (moved or 0.0) * (judges and condition == "dark"),
                    }
                )
    return pa.Table.from_pylist(rows)


@pytest.mark.parametrize("moved", [2.0, -2.0])
def test_a_planted_condition_is_found(moved):
    finding = diagnose_conditions(scores(1, moved=moved), scores(2), "youden", seed=0)
    assert (finding.verdict, finding.code) == ("fail", "RL109")
    assert "under the condition 'dark' are wrong" in finding.why
    assert finding.measure("gap[bright]").verdict == "pass"
    assert finding.evidence["condition"].to_pylist()[0] == "dark"


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_one_passes(seed):
    left_out, ordinary = scores(seed, moved=0.0, parts=400), scores(seed + 50, parts=400)
    finding = diagnose_conditions(left_out, ordinary, "youden", seed=seed)
    assert finding.verdict == "pass"


def test_the_gap_is_the_mean_of_both_classes_over_parts_that_both_judged():
    left_out, ordinary = scores(1, moved=1.0), scores(2)
    finding = diagnose_conditions(left_out, ordinary, "fixed:1.25", seed=0)
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
    found = diagnose_conditions(left_out, ordinary, "youden", seed=0)
    generator = np.random.default_rng(0)
    mixed = [table.take(generator.permutation(len(table))) for table in (left_out, ordinary)]
    again = diagnose_conditions(*mixed, "youden", seed=0)
    assert again.to_dict() == found.to_dict()


def test_without_parts_that_both_judged_it_is_skipped():
    other = scores(2)
    other = other.set_column(2, "object_id", pa.array([f"other {name}" for name in other["object_id"].to_pylist()]))
    assert diagnose_conditions(scores(1), other, "youden", seed=0).verdict == "skip"


def test_without_conditions_it_is_skipped_and_says_so():
    bare = scores(1).drop_columns(["condition"])
    empty = bare.append_column("condition", pa.nulls(bare.num_rows, pa.string()))
    for table in (bare, empty):
        finding = diagnose_conditions(scores(2), table, "youden", seed=0)
        assert finding.verdict == "skip"
        assert "under which condition" in finding.why


def test_a_condition_without_defective_parts_is_left_out():
    table = scores(1)
    rows = [row for row in table.to_pylist() if not (row["condition"] == "dark" and row["label"])]
    finding = diagnose_conditions(pa.Table.from_pylist(rows), scores(2), "youden", seed=0)
    assert [measure.name for measure in finding.measures] == ["gap[bright]"]


@pytest.mark.parametrize("strategy", ["youden", "target-fpr:0.1", "conformal:0.1", "guaranteed-recall:0.3,0.2"])
def test_weighted_thresholds_are_those_of_a_table_in_which_objects_are_repeated(strategy):
    generator = np.random.default_rng(5)
    owner = np.repeat(np.arange(20), 2)
    choosing = {"label": (owner < 10).astype(np.int64), "score": generator.normal(1.0 * (owner < 10))}
    anomalous = np.arange(20) < 10
    parsed, rule = parse_strategy(strategy), parse_object_score("max")
    weights = object_weights(anomalous, 30, generator)
    ranking = choosing_ranking(parsed, choosing, owner, anomalous, rule)
    found = weighted_thresholds(parsed, ranking, weights)[1]
    for replicate in range(30):
        drawn = [(unit, copy) for unit in range(20) for copy in range(int(weights[unit, replicate]))]
        rows = [(number, row) for number, (unit, _) in enumerate(drawn) for row in np.flatnonzero(owner == unit)]
        labels, scores = (np.array([choosing[name][row] for _, row in rows]) for name in ("label", "score"))
        owners = np.array([number for number, _ in rows])
        shares = 1 / np.bincount(owners)[owners]
        if parsed.on_objects:
            _, joint = aggregate_scores(scores, owners, rule)
            labels, scores, shares = np.array([int(unit < 10) for unit, _ in drawn]), joint, np.ones(len(drawn))
        choice = choose_threshold(parsed, scores, labels, shares if parsed.by_share else None)
        assert choice.threshold == pytest.approx(found[replicate])


def test_the_interval_is_wider_than_with_thresholds_held_still():
    few = [scores(seed, parts=40, folds=2) for seed in (1, 2)]
    chosen = diagnose_conditions(*few, "youden", seed=0).measure("gap[dark]").estimate
    held = diagnose_conditions(*few, "fixed:1.25", seed=0).measure("gap[dark]").estimate
    assert chosen.high - chosen.low > held.high - held.low
