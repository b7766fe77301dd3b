"""Whom an audit asks to look at, and what it makes of the answers."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation.monitoring import bound_audit, plan_audit
from raylab2f.evaluation.monitoring.audit import PLAN_SCHEMA, fewest_parts
from raylab2f.evaluation.monitoring.audit_bound import p_value


def judged(parts=1000, rejected=0.1, seed=0):
    score = np.random.default_rng(seed).permutation(parts) / parts
    decision = np.where(score >= 1 - rejected, "reject", np.where(score >= 1 - 2 * rejected, "review", "accept"))
    return pa.table({"image_id": [f"{place}.png" for place in range(parts)], "score": score, "decision": decision})


def answered(plan, defective=(), empty=()):
    names = plan["object_id"].to_pylist()
    label = [None if name in empty else "defective" if name in defective else "good" for name in names]
    return pa.table({"object_id": names, "label": pa.array(label, pa.string())})


@pytest.mark.parametrize("limit", [0.002, 0.01, 0.2])
@pytest.mark.parametrize(
    "design", [{}, {"strata": (1,), "rates": (1,)}, {"strata": (0.02, 0.18, 0.8), "rates": (6, 2, 1)}]
)
def test_as_many_are_asked_for_as_show_the_limit(limit, design):
    table = judged()
    plan = plan_audit(table, limit=limit, **design)
    assert plan.schema == PLAN_SCHEMA
    bound = bound_audit(plan, answered(plan))
    assert bound.accepted == 800
    assert bound.judged == 1000
    assert bound.upper <= limit * 800
    assert bound.share == bound.upper / 800
    assert bound.per_thousand == bound.upper
    assert len(plan_audit(table, limit=2 * limit, **design)) < len(plan)


def test_only_accepted_parts_are_drawn_and_strata_follow_their_scores():
    table = judged()
    plan = plan_audit(table, limit=0.01).to_pandas()
    decision = dict(zip(table["image_id"].to_pylist(), table["decision"].to_pylist(), strict=True))
    assert plan["object_id"].is_unique
    assert {decision[name] for name in plan["object_id"]} == {"accept"}
    near, rest = plan[plan["stratum"] == 1], plan[plan["stratum"] == 2]
    assert near["score"].min() > rest["score"].max()
    assert (near["stratum_parts"] == 80).all()
    for stratum in (near, rest):
        assert (stratum["stratum_selected"] == len(stratum)).all()
        assert (stratum["probability"] == len(stratum) / stratum["stratum_parts"]).all()
    assert near["probability"].iloc[0] == pytest.approx(2 * rest["probability"].iloc[0], rel=0.05)


def test_each_part_of_a_stratum_is_as_likely_as_its_probability_says():
    table, counts, draws = judged(40), {}, 200
    for seed in range(draws):
        plan = plan_audit(table, limit=0.1, seed=seed).to_pandas()
        for row in plan.itertuples():
            counts.setdefault((row.object_id, row.probability), []).append(seed)
    assert len(counts) == 32
    for (_, probability), seeds in counts.items():
        assert len(seeds) / draws == pytest.approx(probability, abs=4.5 * np.sqrt(0.25 / draws))
    assert plan_audit(table, limit=0.1, seed=3).equals(plan_audit(table, limit=0.1, seed=3))


def test_what_has_no_answer_counts_as_defective():
    plan = plan_audit(judged(), limit=0.01)
    names = plan["object_id"].to_pylist()
    open_ones = bound_audit(plan, answered(plan, empty=names[:3]))
    bad = bound_audit(plan, answered(plan, defective=names[:3]))
    assert (open_ones.found, open_ones.unanswered, open_ones.upper) == (0, 3, bad.upper)
    assert (bad.found, bad.unanswered) == (3, 0)
    assert bad.upper > bound_audit(plan, answered(plan)).upper
    without = answered(plan, defective=names[:3]).slice(3)
    assert bound_audit(plan, without).upper == bad.upper
    assert "3 without an answer count as defective" in open_ones.statement


def test_answers_are_read_as_labels_are_anywhere():
    plan = plan_audit(judged(), limit=0.01)
    names = plan["object_id"].to_pylist()
    rows = [(name, 0) for name in names] + [(names[0], 1), ("another", 1)]
    pictures = pa.table({"image_id": [name for name, _ in rows], "label": [label for _, label in rows]})
    bound = bound_audit(plan, pictures)
    assert (bound.found, bound.strange, bound.unanswered) == (1, 1, 0)
    first = plan.to_pylist()[0]
    assert bound.estimate == pytest.approx(1 / first["probability"])


def test_a_plan_that_went_through_text_is_the_same():
    plan = plan_audit(judged(), limit=0.01)
    text = pa.table({name: [str(cell) for cell in plan[name].to_pylist()] for name in plan.column_names})
    assert bound_audit(text, answered(plan)) == bound_audit(plan, answered(plan))


def test_expecting_some_asks_for_more_and_allows_for_them():
    table = judged(5000)
    none, some = plan_audit(table, limit=0.01), plan_audit(table, limit=0.01, expected=0.004)
    assert len(some) > 1.5 * len(none)
    rest = [row["object_id"] for row in some.to_pylist() if row["stratum"] == 2]
    weight = next(1 / row["probability"] for row in some.to_pylist() if row["stratum"] == 2)
    few = rest[: int(0.004 * 4000 / weight)]
    assert few
    assert bound_audit(some, answered(some, defective=few)).upper <= 40


@given(parts=st.integers(1, 60), limit=st.floats(0.001, 0.999), near=st.floats(0.01, 0.9), rate=st.floats(0.2, 20))
def test_any_small_population_can_be_planned(parts, limit, near, rate):
    table = judged(parts, rejected=0.0).set_column(2, "decision", pa.array(["accept"] * parts))
    plan = plan_audit(table, limit=limit, strata=(near, 1 - near), rates=(rate, 1.0))
    assert bound_audit(plan, answered(plan)).upper <= limit * parts + 1e-9


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limit": 0.0}, "limit is 0.0"),
        ({"limit": float("nan")}, "limit is nan"),
        ({"confidence": 1.0}, "confidence is 1.0"),
        ({"expected": 0.01}, "expected share is 0.01"),
        ({"strata": (0.2, 0.2, 0.2, 0.4)}, "4 strata and 2 rates"),
        ({"rates": (0.0, 1.0)}, "not above 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said):
    with pytest.raises(UserError, match=said):
        plan_audit(judged(), **{"limit": 0.01, **options})


def test_tables_that_cannot_be_used_are_refused():
    table = judged()
    with pytest.raises(UserError, match="lacks the column decision"):
        plan_audit(table.drop_columns(["decision"]), limit=0.01)
    with pytest.raises(UserError, match="no accepted part"):
        plan_audit(table.set_column(2, "decision", pa.array(["reject"] * 1000)), limit=0.01)
    plan = plan_audit(table, limit=0.01)
    answers = answered(plan)
    for wrong, said in (
        (plan.slice(1), "as many rows as were planned"),
        (pa.concat_tables([plan, plan.slice(0, 1)]), "as many rows as were planned"),
        (plan.drop_columns(["stratum"]), "lacks the column stratum"),
        (plan.slice(0, 0), "is empty"),
        (plan.set_column(2, "stratum", pa.array(["near"] * len(plan))), "no whole numbers"),
    ):
        with pytest.raises(UserError, match=said):
            bound_audit(wrong, answers)
    with pytest.raises(UserError, match="lacks the column label"):
        bound_audit(plan, answers.drop_columns(["label"]))
    with pytest.raises(UserError, match="has the label 'scratch'"):
        bound_audit(plan, answers.set_column(1, "label", pa.array(["scratch"] * len(plan))))
    with pytest.raises(UserError, match="confidence is 95"):
        bound_audit(plan, answers, confidence=95)


def test_one_part_less_in_a_stratum_would_not_show_the_limit():
    for limit in (0.01, 0.05):
        looked = fewest_parts((80, 720), (2.0, 1.0), 0.0, int(limit * 800) + 1, 0.05)
        less = [seen - 1 for seen in looked]
        assert p_value((80, 720), looked, 0.0, int(limit * 800) + 1) <= 0.05
        assert p_value((80, 720), less, 0.0, int(limit * 800) + 1) > 0.05


@pytest.mark.parametrize(
    ("column", "value"),
    [("judged_parts", 3), ("judged_parts", -1000), ("stratum_parts", 10**15), ("stratum_parts", 2.5), ("stratum", 1.5)],
)
def test_a_plan_whose_numbers_were_changed_gives_no_bound(column, value):
    plan = plan_audit(judged(), limit=0.01)
    changed = plan.set_column(plan.column_names.index(column), column, pa.array([value] * len(plan), pa.float64()))
    with pytest.raises(UserError, match="plan of the audit"):
        bound_audit(changed, answered(plan))


def test_answers_on_other_parts_are_told_and_nothing_but_such_is_refused():
    plan = plan_audit(judged(), limit=0.01)
    own = answered(plan)
    strange = pa.table({"object_id": ["x.png", "y.png"], "label": ["defective", "good"]})
    bound = bound_audit(plan, pa.concat_tables([own, strange]))
    assert (bound.strange, bound.upper) == (2, bound_audit(plan, own).upper)
    assert "2 answers on other parts did not count" in bound.statement
    with pytest.raises(UserError, match=r"none on a part of the plan; name parts as the plan does, such as '\d+\.png'"):
        bound_audit(plan, strange)
