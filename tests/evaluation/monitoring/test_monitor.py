"""The whole monitor: what it says of days, signals and conditions, and what it promises."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from raylab2f.errors import UserError
from raylab2f.evaluation.monitoring import monitor
from raylab2f.evaluation.monitoring.outcome import MONITORING_SCHEMA
from raylab2f.evaluation.monitoring.prevalence import draw_at_prevalence
from raylab2f.evaluation.monitoring.rates import confidence_sequence


def line(parts, *, shift=0.0, days=None, defective=0.0, seed=0, decimals=9):
    rng = np.random.default_rng(seed)
    label = rng.random(parts) < defective
    score = (rng.standard_normal(parts) + shift + 3 * label).round(decimals)
    columns = {
        "image_id": [f"{seed}/{place}" for place in range(parts)],
        "score": score,
        "familiarity": rng.random(parts),
        "decision": np.where(score > 2.5, "reject", np.where(score > 2, "review", "accept")),
        "condition": np.where(rng.random(parts) < 0.4, "night", "day"),
        "label": label.astype(int),
    }
    if days:
        columns["day"] = [f"2026-05-{1 + place * days // parts:02d}" for place in range(parts)]
    return pa.table(columns)


def find(found, name, condition=None):
    return next(each for each in found.signals if (each.signal, each.condition) == (name, condition))


REFERENCE = line(400, seed=1)


def test_signals_share_alpha_and_the_table_has_every_day_of_each():
    found = monitor(REFERENCE, line(500, days=5), alpha=0.05)
    names = ["score", "familiarity", "accept", "review", "reject"]
    assert [(each.signal, each.condition) for each in found.signals] == [
        (name, condition) for condition in (None, "day", "night") for name in names
    ]
    assert sum(each.alpha for each in found.signals) == pytest.approx(0.05)
    assert found.table.schema == MONITORING_SCHEMA
    assert found.table.num_rows == 15 * 5
    assert found.notes == ()
    assert not found.alarmed
    rows = found.table.to_pandas()
    whole = rows[rows["condition"].isna() & (rows["signal"] == "score")]
    assert whole["units"].tolist() == [100, 200, 300, 400, 500]
    assert whole["log10_peak"].is_monotonic_increasing
    assert (whole["log10_peak"] >= whole["log10_evidence"]).all()
    for each in found.signals:
        last = rows[(rows["signal"] == each.signal) & (rows["condition"].fillna("") == (each.condition or ""))].iloc[-1]
        assert (last["units"], last["log10_evidence"]) == (each.units, each.log10_evidence)
        assert each.statement.endswith(".")
    assert json.loads(json.dumps(found.to_dict()))["alarmed"] is False


def test_a_change_is_told_with_its_day_and_direction():
    day = [f"2026-05-{1 + place // 100:02d}" for place in range(600)]
    score = np.r_[line(300)["score"], line(300, shift=1.0, seed=2)["score"]]
    stream = line(600, days=6).set_column(1, "score", pa.array(score))
    found = monitor(REFERENCE, stream)
    score = find(found, "score")
    assert found.alarmed
    assert day[score.alarm.units - 1] == score.alarm.day == "2026-05-04"
    assert stream["image_id"][score.alarm.units - 1].as_py() == score.alarm.name
    assert score.warning.units <= score.alarm.units + 20
    expected = f"Scores are higher than in the reference: alarm on 2026-05-04, after {score.alarm.units} parts."
    assert score.statement == expected
    rows = found.table.to_pandas()
    rows = rows[rows["condition"].isna() & (rows["signal"] == "score")]
    assert rows["alarm"].tolist() == [False] * 3 + [True] * 3
    lower = monitor(REFERENCE, line(600, shift=-1.0))
    assert "Scores are lower" in find(lower, "score").statement
    assert find(lower, "familiarity").alarm is None


def test_rates_that_part_from_the_reference_raise_an_alarm():
    stream = line(800).set_column(3, "decision", pa.array(["reject", "accept", "accept", "accept"] * 200))
    found = find(monitor(REFERENCE, stream), "reject")
    assert found.alarm is not None
    assert "has risen" in found.statement
    row = monitor(REFERENCE, stream).table.to_pandas().query("signal == 'reject' and condition.isna()").iloc[-1]
    assert row["low"] > row["reference_high"]
    assert row["low"] <= 0.25 <= row["high"]


def test_what_comes_later_changes_nothing_of_earlier_days():
    stream = line(600, days=6, shift=0.4, decimals=1)
    whole, part = monitor(REFERENCE, stream, seed=3), monitor(REFERENCE, stream.slice(0, 300), seed=3)
    early = [row for row in whole.table.to_pylist() if row["day"] <= "2026-05-03"]
    assert early == part.table.to_pylist()
    assert monitor(REFERENCE, stream, seed=3).table.equals(whole.table)
    assert not monitor(REFERENCE, stream, seed=4).table.equals(whole.table)


def test_neither_an_increasing_scale_nor_the_order_of_the_reference_matters():
    stream = line(300, decimals=1)
    expected = monitor(REFERENCE, stream)

    def scaled(table):
        return table.set_column(1, "score", pa.array(np.exp(table["score"].to_numpy())))

    assert monitor(scaled(REFERENCE), scaled(stream)).table.equals(expected.table)
    shuffled = REFERENCE.take(np.random.default_rng(0).permutation(len(REFERENCE)))
    assert monitor(shuffled, stream).table.equals(expected.table)


def test_the_whole_monitor_seldom_cries_wolf():
    alarms = [
        monitor(line(60, seed=2 * seed + 100), line(150, seed=2 * seed + 101), alpha=0.2).alarmed for seed in range(80)
    ]
    assert np.mean(alarms) <= 0.2


def test_what_is_not_watched_is_said():
    found = monitor(REFERENCE.drop_columns(["familiarity"]), line(50).drop_columns(["decision", "familiarity"]))
    assert [each.signal for each in found.signals if each.condition is None] == ["score"]
    assert any(note.startswith("Familiarity is not watched, for both tables lack") for note in found.notes)
    assert any("Decision is not watched, for the table of judged pictures lacks" in note for note in found.notes)
    strange = line(50).set_column(4, "condition", pa.array(["fog"] * 50))
    found = monitor(REFERENCE, strange)
    assert any("50 parts are of a condition that the reference lacks (fog)" in note for note in found.notes)
    assert "no part has come yet" in find(found, "score", "night").statement
    one = REFERENCE.set_column(4, "condition", pa.array(["day"] * 400))
    assert {each.condition for each in monitor(one, line(50)).signals} == {None}


def test_a_reference_of_many_defects_is_drawn_at_the_prevalence_of_the_line():
    evaluation, stream = line(600, defective=0.5, seed=5), line(2000, defective=0.02, seed=6)
    assert find(monitor(evaluation, stream), "score").alarm is not None
    found = monitor(evaluation, stream, prevalence=0.02)
    assert find(found, "score").alarm is None
    assert 250 <= found.reference_parts <= 320
    assert sum(each.alpha for each in found.signals) == pytest.approx(0.99 * 0.01)


def test_what_is_drawn_at_a_prevalence_has_it_on_average():
    label = np.repeat([0, 1], [200, 40])
    shares, places = [], np.zeros(240)
    for seed in range(400):
        drawn = draw_at_prevalence(label, 0.05, 1e-4, np.random.default_rng(seed))
        assert len(np.unique(drawn)) == len(drawn)
        shares.append(label[drawn].mean())
        places[drawn] += 1
    assert np.mean(shares) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 200 / 400))
    assert np.ptp(places[label == 1]) < 0.2 * 400
    assert label[draw_at_prevalence(label, 0.0, 1e-4, np.random.default_rng(0))].sum() == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"alpha": float("nan")}, "alpha is nan"),
        ({"arl": 0}, "ARL is 0"),
        ({"arl": float("inf")}, "ARL is inf"),
        ({"prevalence": 1.5}, "prevalence is 1.5"),
        ({"prevalence": 0.5}, "too few for a prevalence of 0.5"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said):
    with pytest.raises(UserError, match=said):
        monitor(REFERENCE, line(20), **options)


def test_tables_are_named_in_what_is_refused():
    with pytest.raises(UserError, match="The reference is empty"):
        monitor(REFERENCE.slice(0, 0), line(20))
    with pytest.raises(UserError, match="The table of judged pictures lacks the column score"):
        monitor(REFERENCE, line(20).drop_columns(["score"]))
    with pytest.raises(UserError, match="lacks the column label"):
        monitor(REFERENCE.drop_columns(["label"]), line(20), prevalence=0.02)


def by_days(days, *, first=1, shift=0.0, seed=0, parts=30):
    rng = np.random.default_rng(seed)
    score = (rng.standard_normal((days, parts)) + 0.7 * rng.standard_normal((days, 1)) + shift).reshape(-1)
    return pa.table(
        {
            "image_id": [f"{first}/{place}" for place in range(days * parts)],
            "score": score,
            "decision": np.where(score > 2, "reject", "accept"),
            "day": np.repeat(np.datetime64("2026-01-01") + first + np.arange(days), parts),
        }
    )


def test_days_that_differ_alarm_as_parts_and_not_as_days():
    calm = [(by_days(30, seed=2 * seed), by_days(40, first=100, seed=2 * seed + 1)) for seed in range(30)]
    assert np.mean([find(monitor(*each), "score").alarm is not None for each in calm]) > 0.8
    found = [monitor(*each, unit="day", alpha=0.1) for each in calm]
    assert np.mean([each.alarmed for each in found]) <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / 30)
    assert {signal.units for signal in found[0].signals} == {40}
    assert found[0].arl == 1000


def test_by_day_a_change_is_found_and_a_day_is_one_value():
    reference, stream = by_days(30), by_days(40, first=100, shift=1.5, seed=1)
    found = monitor(reference, stream, unit="day")
    score, reject = find(found, "score"), find(found, "reject")
    assert score.alarm.units < 30
    assert score.statement.startswith("The days' scores are higher than in the reference: alarm on 2026-0")
    assert score.statement.endswith(f"after {score.alarm.units} days.")
    assert "The days' shares of parts rejected" in reject.statement
    assert score.alarm.name == score.alarm.day
    rows = found.table.to_pandas().query("signal == 'score'")
    assert rows["units"].tolist() == list(range(1, 41))
    assert (rows["units_of_day"] == 1).all()
    # The median of a day is all that counts.
    score = stream["score"].to_numpy().reshape(40, 30)
    same = np.repeat(np.median(score, axis=1), 30)
    again = monitor(reference, stream.set_column(1, "score", pa.array(same)), unit="day")
    assert find(again, "score") == find(found, "score")


def test_by_day_both_tables_need_days():
    with pytest.raises(UserError, match="The reference lacks the column day"):
        monitor(REFERENCE, line(20, days=2), unit="day")
    with pytest.raises(UserError, match="no prevalence can be drawn"):
        monitor(by_days(3), by_days(3, first=9), unit="day", prevalence=0.1)
    with pytest.raises(UserError, match="Unknown unit 'week'"):
        monitor(REFERENCE, line(20), unit="week")


def test_half_of_a_rate_s_share_is_for_the_reference_and_half_for_the_stream():
    days = (np.datetime64("2026-01-01") + np.arange(120)).astype(str).tolist()
    stream = line(120).append_column("day", pa.array(days))
    stream = stream.set_column(3, "decision", pa.array(["reject", "accept"] * 60))
    found = monitor(REFERENCE, stream)
    share = find(found, "reject").alpha
    rejected = sum(decision == "reject" for decision in REFERENCE["decision"].to_pylist())
    exact = binomtest(rejected, len(REFERENCE)).proportion_ci(1 - share / 2, method="exact")
    rows = found.table.to_pandas().query("signal == 'reject' and condition.isna()")
    assert rows["reference_high"].iloc[0] == pytest.approx(exact.high)
    # One part a day, so that each look is in the table.
    low, _ = confidence_sequence(np.cumsum(np.arange(120) % 2 == 0), np.arange(1, 121), share / 2)
    np.testing.assert_allclose(rows["low"], low)
    assert rows["alarm"].tolist() == (low > exact.high).tolist()
    assert 0 < rows["alarm"].sum() < 120
