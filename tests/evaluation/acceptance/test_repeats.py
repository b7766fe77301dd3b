"""Parts that are photographed again: one part each, and how often they are decided alike."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from raylab2f.errors import UserError
from raylab2f.evaluation.acceptance.finished import judge_finished
from raylab2f.evaluation.acceptance.limits import Limit
from raylab2f.evaluation.acceptance.procedure import judge_procedure

LIMITS = (Limit("escape_rate", 0.2), Limit("overkill_rate", 0.2))


def _table(seed, parts=30, repeats=6, names=str):
    rng = np.random.default_rng(seed)
    rows = [
        {
            "image_id": f"{part}/{view}/{repeat}",
            "object_id": f"part {part}",
            "label": int(part < 10),
            "repeat": names(repeat),
            "score": float(np.round(rng.normal(2.0 * (part < 10), 0.8), 2)),
        }
        for part in range(parts)
        for view in range(2)
        for repeat in range(1, repeats + 1)
    ]
    return pa.Table.from_pylist(rows)


@given(st.integers(0, 100), st.floats(-1, 3))
def test_agreement_is_that_of_the_decisions_of_each_repeat(seed, threshold):
    table = _table(seed)
    found = judge_finished(table, threshold, LIMITS).repeats
    scores = table.to_pandas().groupby(["object_id", "repeat"])["score"].max().unstack()
    rejected = (scores >= threshold).sum(axis=1)
    grey = scores[(rejected > 0) & (rejected < 6)]
    assert (found.parts, found.alike, found.runs) == (30, 30 - len(grey), (6, 6))
    interval = binomtest(found.alike, 30).proportion_ci(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    if len(grey):
        assert found.grey_zone == (grey.min().min(), grey.max().max())
    else:
        assert found.grey_zone is None
    assert {part["object_id"]: part["rejected"] for part in found.grey_parts}.items() <= dict(rejected).items()


@pytest.mark.parametrize("names", [str, lambda repeat: f"{repeat:02}", lambda repeat: "abcdefghijkl"[repeat]])
def test_a_part_is_judged_as_it_was_the_first_time(names):
    table = _table(3, repeats=11, names=names)
    first = table.filter(pa.compute.equal(table["repeat"], names(1)))
    repeated, alone = judge_finished(table, 1.0, LIMITS), judge_finished(first, 1.0, LIMITS)
    assert repeated.limits == alone.limits
    assert repeated.agreement == alone.agreement
    assert alone.repeats is None


def test_parts_that_were_seen_once_count_as_ever_and_say_nothing_of_agreement():
    table = _table(4)
    kept = table.filter(pa.array([row["repeat"] == "1" or row["object_id"] != "part 3" for row in table.to_pylist()]))
    found = judge_finished(kept, 1.0, LIMITS)
    assert found.repeats.parts == 29
    assert found.limits == judge_finished(table, 1.0, LIMITS).limits


def test_the_verdict_is_told_with_its_grey_zone(tmp_path):
    import pyarrow.csv
    from in_process import raylab2f

    pyarrow.csv.write_csv(_table(5, repeats=3), tmp_path / "scores.csv")
    process = raylab2f("accept", tmp_path / "scores.csv", "--at", "1.0", "--max-escape", "0.2")
    assert process.returncode in (0, 3, 4), process.stderr
    assert "of 30 parts that were seen again are decided alike every time" in process.stdout
    assert "the grey zone" in process.stdout
    assert "MSA asks for 6 runs of each part; here the fewest are 3." in process.stdout


@pytest.mark.parametrize(
    ("repeats", "views", "said"),
    [
        # Numbered through: the second view would be left out of what is judged, and be compared with the first.
        ("1234", "aabb", r"does not show the same views in repeat '1' and in repeat '3'"),
        ("112", "aba", r"does not show the same views in repeat '1' and in repeat '2'"),
        (["1", "2", ""], "aaa", "for some of its pictures only"),
    ],
)
def test_repeats_that_cannot_be_compared_are_refused(repeats, views, said):
    rows = [
        {"image_id": f"{part}/{n}", "object_id": part, "label": int(part < "c"), "score": ord(part) + n / 10}
        | {"repeat": repeat, "view": view}
        for part in "abcd"
        for n, (repeat, view) in enumerate(zip(repeats, views, strict=True))
    ]
    with pytest.raises(UserError, match=said):
        judge_finished(pa.Table.from_pylist(rows), 99.0, LIMITS)


def test_folds_refuse_parts_that_were_photographed_again():
    table = _table(6, repeats=2)
    with pytest.raises(UserError, match="'part 0' was photographed again"):
        judge_procedure(table, LIMITS, replicates=50)
    pictures = tuple(Limit(limit.metric, limit.value, level="image") for limit in LIMITS)
    assert len(judge_procedure(table, pictures, replicates=50).limits) == 2
    once = table.filter(pa.compute.equal(table["repeat"], "1"))
    assert len(judge_procedure(once, LIMITS, replicates=50).limits) == 2
