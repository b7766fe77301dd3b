"""What a condition costs that was never seen: found where it is planted, not where there is none."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylab2f.diagnostics import diagnose_conditions
from raylab2f.diagnostics.choosing import choose_thresholds, rank_choosing
from raylab2f.evaluation import choose_pair, parse_strategy
from raylab2f.evaluation.decisions.object_scores import aggregate_scores, parse_object_score

STRATEGIES = ("youden", "cost:10,1", "f1", "target-recall:0.9", "target-fpr:0.1", "nominal-quantile:0.9", "mcc")
PAIRS = ("two-sided:0.1,0.1", "review-cost:10,1,0.25,0.5")


def scores(seed, *, moved=0.0, spread=1.0, folds=4, parts=80):
    """Parts under two conditions, which several folds judge; without having seen `dark`, judged scores are moved."""
    rng = np.random.default_rng(seed)
    hardness = np.random.default_rng(99).normal(size=parts)
    rows = []
    for fold in range(folds):
        for part in range(parts):
            for condition in ("bright", "dark"):
                label = int(part < 0.3 * parts)
                score = 2.5 * label + 0.7 * hardness[part] + spread * 0.5 * rng.normal()
                judged = (part + fold) % 2 == 1
                rows.append(
                    {
                        "fold": fold,
                        "partition": "inference" if judged else "threshold",
                        "image_id": f"{part} {condition}",
                        "object_id": f"part {part}",
                        "label": label,
                        "condition": condition,
                        "score": score + (moved if judged and condition == "dark" else 0.0),
                    }
                )
    return pa.Table.from_pylist(rows)


def renamed(table, column, names):
    """The table with other cells in a column, `names(cell)`."""
    place = table.column_names.index(column)
    return table.set_column(place, column, pa.array([names(cell) for cell in table[column].to_pylist()]))


@pytest.mark.parametrize("moved", [2.0, -2.0])
def test_a_planted_condition_is_found(moved):
    finding = diagnose_conditions(scores(1, moved=moved), scores(2), "youden", seed=0)
    assert (finding.verdict, finding.code) == ("fail", "RL109")
    assert "under the condition 'dark' are wrong" in finding.why
    assert finding.measure("gap[bright]").verdict == "pass"
    assert finding.evidence["condition"].to_pylist()[0] == "dark"


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_one_passes(seed):
    left_out, ordinary = scores(seed, parts=400), scores(seed + 50, parts=400)
    assert diagnose_conditions(left_out, ordinary, "youden", seed=seed).verdict == "pass"


@pytest.mark.parametrize("strategy", ["youden", "target-fpr:0.1", "fixed:1.25", "conformal:0.2", PAIRS[0]])
def test_the_gap_is_the_mean_of_both_classes_over_parts_that_both_judged(strategy):
    left_out, ordinary = scores(1, moved=1.0), scores(2).filter(pc.not_equal(scores(2)["object_id"], "part 7"))
    finding = diagnose_conditions(left_out, ordinary, strategy, seed=0)
    shares = []
    for table in (left_out, ordinary):
        rows = table.to_pandas()
        judged = rows[(rows["partition"] == "inference") & (rows["condition"] == "dark")].copy()
        for fold, choosing in rows[rows["partition"] == "threshold"].groupby("fold"):
            # Two good pictures of each part, which under `conformal` share the weight of one.
            weights = np.where(choosing["label"] == 0, 0.5, 1.0) if "conformal" in strategy else None
            pair = (
                choose_pair(strategy, choosing["score"], choosing["label"], weights)
                if "fixed" not in strategy
                else None
            )
            low, high = (1.25, 1.25) if pair is None else (pair.low, pair.high)
            here = judged["fold"] == fold
            accepted, rejected = judged.loc[here, "score"] < low, judged.loc[here, "score"] >= high
            judged.loc[here, "wrong"] = np.where(judged.loc[here, "label"] == 1, accepted, rejected).astype(float)
        shares.append(judged.groupby(["label", "object_id"])["wrong"].mean())
    expected = (shares[0] - shares[1]).dropna().groupby("label").mean().mean()
    found = finding.measure("gap[dark]").estimate
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    assert "part 7" not in finding.evidence["object_id"].to_pylist()


@settings(max_examples=50, deadline=None)
@given(st.sampled_from((*STRATEGIES, *PAIRS)), st.integers(0, 10_000))
def test_thresholds_by_weights_are_those_of_the_strategy_on_as_many_copies(name, seed):
    rng = np.random.default_rng(seed)
    owner = np.sort(rng.integers(0, 12, 40))
    anomalous = np.arange(12) < 5
    label = anomalous[owner]
    score = np.round(rng.normal(size=40) + label, 1)
    weights = rng.integers(0, 4, (12, 6)).astype(float)
    strategy = parse_strategy(name)
    ranking = rank_choosing(strategy, score, owner, label, anomalous, parse_object_score("max"))
    chosen = choose_thresholds(strategy, ranking, weights)
    for column in range(6):
        copies = np.repeat(np.arange(40), weights[owner, column].astype(int))
        if len(copies):
            pair = choose_pair(strategy, score[copies], label[copies])
            expected = [np.nan if end is None else end for end in (pair.low, pair.high)]
            np.testing.assert_array_equal(chosen[:, column], expected)


def test_a_guarantee_is_chosen_on_objects_with_their_weights():
    rng = np.random.default_rng(0)
    owner, anomalous = np.repeat(np.arange(60), 2), np.arange(60) < 40
    score, label = rng.normal(size=120) + 2 * anomalous[owner], anomalous[owner]
    weights = rng.integers(0, 3, (60, 4)).astype(float)
    strategy, rule = parse_strategy("guaranteed-recall:0.2,0.1"), parse_object_score("mean")
    chosen = choose_thresholds(strategy, rank_choosing(strategy, score, owner, label, anomalous, rule), weights)
    _, by_object = aggregate_scores(score, owner, rule)
    for column in range(4):
        copies = np.repeat(np.arange(60), weights[:, column].astype(int))
        assert chosen[1, column] == choose_pair(strategy, by_object[copies], anomalous[copies]).high


def test_an_object_has_one_weight_in_both_runs():
    """A run compared with itself differs in no replicate, however uncertain its thresholds are."""
    table = scores(1, spread=3.0, parts=20)
    finding = diagnose_conditions(table, table, "youden", seed=0)
    for measure in finding.measures:
        assert (measure.estimate.value, measure.estimate.low, measure.estimate.high) == (0.0, 0.0, 0.0)


def test_the_interval_knows_that_thresholds_were_chosen():
    """Few parts choose the threshold of the run that leaves conditions out, many parts of both are judged."""
    rare = scores(1, parts=200)
    number = np.array([int(name.split()[1]) for name in rare["object_id"].to_pylist()])
    chooses = np.array(rare["partition"].to_pylist()) == "threshold"
    few = rare.filter(pa.array(~chooses | (number < 4) | (number >= 196)))
    chosen = diagnose_conditions(few, scores(2, parts=200), "youden", seed=0).measure("gap[dark]").estimate
    given = diagnose_conditions(few, scores(2, parts=200), "fixed:1.25", seed=0).measure("gap[dark]").estimate
    assert chosen.high - chosen.low > 1.5 * (given.high - given.low)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_the_order_of_rows_and_the_names_of_parts_do_not_matter(seed):
    left_out, ordinary = scores(1, moved=1.0, parts=30), scores(2, parts=30)
    found = diagnose_conditions(left_out, ordinary, "youden", seed=0, replicates=50)
    rng = np.random.default_rng(seed)
    order, number = rng.permutation(len(left_out)), rng.permutation(30)
    names = {f"part {part}": f"other {number[part]}" for part in range(30)}
    again = [renamed(table.take(order), "object_id", names.get) for table in (left_out, ordinary)]
    renumbered = diagnose_conditions(*again, "youden", seed=0, replicates=50)
    assert renumbered.verdict == found.verdict
    assert [m.to_dict() for m in renumbered.measures] == [m.to_dict() for m in found.measures]


def test_a_condition_without_defective_parts_is_said_to_be_left_out():
    tables = [
        table.filter(pc.invert(pc.and_(pc.equal(table["condition"], "dark"), pc.equal(table["label"], 1))))
        for table in (scores(1), scores(2))
    ]
    finding = diagnose_conditions(*tables, "youden", seed=0)
    assert [measure.name for measure in finding.measures] == ["gap[bright]"]
    assert set(finding.evidence["condition"].to_pylist()) == {"bright"}
    assert len(finding.seen_on) == 1
    assert "'dark'" in finding.seen_on[0]


def test_one_condition_of_several_can_be_looked_at_alone():
    """As `diagnose --by condition` does: folds that left out another one then judge nothing."""
    table, other = scores(1, moved=2.0), scores(2)
    own = np.array(["dark", "bright"])[np.array(table["fold"]) % 2]
    judged = np.array(table["partition"].to_pylist()) == "inference"
    left_out = table.filter(pa.array((own == np.array(table["condition"].to_pylist())) == judged))
    whole = diagnose_conditions(left_out, other, "youden", seed=0)
    chooses = pc.equal(left_out["partition"], "threshold")
    dark = left_out.filter(pc.or_(chooses, pc.equal(left_out["condition"], "dark")))
    alone = diagnose_conditions(dark, other, "youden", seed=0)
    assert [measure.name for measure in alone.measures] == ["gap[dark]"]
    assert alone.measures[0].estimate.value == whole.measure("gap[dark]").estimate.value
    assert alone.seen_on == ()


def test_what_cannot_be_compared_is_skipped_with_one_sentence():
    table, other = scores(1), scores(2)
    unlit = other.drop_columns("condition")
    finding = diagnose_conditions(table, unlit, "youden", seed=0)
    assert (finding.verdict, finding.why) == ("skip", "The scores of the ordinary run have no column condition.")
    finding = diagnose_conditions(table, renamed(other, "condition", lambda _: None), "youden", seed=0)
    assert finding.verdict == "skip"
    assert finding.why == "No condition has good and defective parts that both runs judge."
    strangers = renamed(renamed(other, "object_id", "other {}".format), "image_id", "other {}".format)
    assert diagnose_conditions(table, strangers, "youden", seed=0).why == finding.why
    assert diagnose_conditions(table, other.slice(0, 0), "youden", seed=0).verdict == "skip"
    moved = renamed(other, "object_id", "other {}".format)
    assert "different objects" in diagnose_conditions(table, moved, "youden", seed=0).why


def test_a_strategy_that_gives_no_threshold_is_skipped():
    few = scores(1, parts=20)
    finding = diagnose_conditions(few, few, "guaranteed-recall:0.01,0.01", seed=0)
    assert finding.verdict == "skip"
