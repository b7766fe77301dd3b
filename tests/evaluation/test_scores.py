"""Score tables from anywhere: what is read, what is refused, and how a table without partitions is split."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from raylab2f.errors import UserError
from raylab2f.evaluation.score_table import read_scores
from raylab2f.evaluation.scores import prepare_scores


def with_column(table, name, values):
    position = table.column_names.index(name)
    return table.set_column(position, name, values if isinstance(values, pa.ChunkedArray) else pa.array(values))


def changed(table, name, row, value):
    values = table[name].to_pylist()
    values[row] = value
    return with_column(table, name, values)


@pytest.fixture
def table(simulate):
    return simulate()


def test_parquet_and_csv_hold_the_same(table, tmp_path):
    pq.write_table(table, tmp_path / "scores.parquet")
    pacsv.write_csv(table, tmp_path / "scores.csv")
    first, second = (prepare_scores(read_scores(tmp_path / name)) for name in ("scores.parquet", "scores.csv"))
    for name, value in first.__dict__.items():
        np.testing.assert_array_equal(value, getattr(second, name))


def test_a_csv_written_by_hand(tmp_path):
    lines = ["image_id,label,score"] + [f"00{i},{i % 2},{(i * 37 % 17) / 10}" for i in range(20)]
    (tmp_path / "hand.csv").write_text("\n".join(lines), encoding="utf-8")
    scores = prepare_scores(read_scores(tmp_path / "hand.csv"), folds=4)
    assert scores.folds == (0, 1, 2, 3)
    assert "no object_id" in scores.warnings[0]
    for fold in range(4):
        rows = scores.fold == fold
        assert rows.sum() == 20
        for judged in (False, True):
            assert (scores.label[rows & (scores.judged == judged)].sum()) == 5


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("scores.csv", "image_id,label\n1,0\n2,0,3\n", "cannot be read"),
        ("scores.parquet", "not parquet", "cannot be read"),
    ],
)
def test_unreadable_files(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_scores(tmp_path / name)
    with pytest.raises(UserError, match="no score table"):
        read_scores(tmp_path / "missing.csv")


def test_objects_stay_whole_when_partitions_are_drawn(table):
    one_model = table.filter(pc.equal(table["fold"], 0)).drop_columns(["fold", "partition"])
    scores = prepare_scores(one_model, folds=6, seed=1)
    assert scores.warnings == ()
    assert len(scores.folds) == 6
    for fold in range(6):
        rows = scores.fold == fold
        assert not np.intersect1d(scores.object[rows & scores.judged], scores.object[rows & ~scores.judged]).size
    halves = {tuple(scores.judged[scores.fold == fold]) for fold in range(6)}
    assert len(halves) == 6


def test_given_folds_without_partitions_are_split_each(table):
    scores = prepare_scores(table.drop_columns(["partition"]))
    assert scores.folds == (0, 1, 2)
    assert len(scores.score) == table.num_rows


def test_training_rows_are_left_out(table):
    training = table.slice(0, 5)
    training = with_column(training, "image_id", [f"train {i}" for i in range(5)])
    training = with_column(training, "object_id", [f"train {i}" for i in range(5)])
    training = with_column(training, "partition", ["train"] * 5)
    training = with_column(training, "label", pa.array([0] * 5, pa.int8()))
    training = with_column(training, "defect_type", ["good"] * 5)
    scores = prepare_scores(pa.concat_tables([table, training]))
    assert len(scores.score) == table.num_rows
    assert len(scores.object_anomalous) == 26


def test_labels_may_be_booleans_or_floats(table):
    reference = prepare_scores(table)
    for kind in (pa.bool_(), pa.float32(), pa.int64()):
        scores = prepare_scores(with_column(table, "label", table["label"].cast(kind)))
        np.testing.assert_array_equal(scores.label, reference.label)


def test_an_object_on_both_sides_is_warned_of(table):
    leaky = with_column(table, "partition", ["threshold", "inference"] * (table.num_rows // 2))
    assert "both the threshold and the inference partition in 3 of 3 folds" in prepare_scores(leaky).warnings[0]


BAD = {
    "nan": (lambda t: changed(t, "score", 3, float("nan")), "1 scores are NaN or infinite"),
    "infinite": (lambda t: changed(t, "score", 3, float("-inf")), "1 scores are NaN or infinite"),
    "null": (lambda t: changed(t, "score", 3, None), "score of the score table has 1 missing"),
    "text": (lambda t: with_column(t, "score", t["score"].cast(pa.string())), "holds string, not numbers"),
    "label 2": (lambda t: changed(t, "label", 3, 2), "Labels are 0"),
    "label 0.5": (lambda t: with_column(t, "label", [0.5] * t.num_rows), "Labels are 0"),
    "label text": (lambda t: with_column(t, "label", ["scratched"] * t.num_rows), "the score table has scratched"),
    "nominal only": (lambda t: with_column(t, "label", [0] * t.num_rows), "there are no anomalous ones"),
    "anomalous only": (lambda t: with_column(t, "label", [1] * t.num_rows), "there are no nominal ones"),
    "constant": (lambda t: with_column(t, "score", [0.5] * t.num_rows), "All scores are equal"),
    "one object": (lambda t: with_column(t, "object_id", ["only"] * t.num_rows), "1 anomalous object; at least 2"),
    "one anomalous object": (
        lambda t: t.filter(pc.is_in(t["object_id"], pa.array(["part 0", *(f"part {i}" for i in range(12, 26))]))),
        "1 anomalous object; at least 2",
    ),
    "no column": (lambda t: t.drop_columns(["image_id", "score"]), "lacks the columns image_id, score"),
    "empty": (lambda t: t.slice(0, 0), "empty"),
    "blank picture": (lambda t: changed(t, "image_id", 3, ""), "image_id of the score table is empty in 1 of"),
    "blank objects": (
        lambda t: with_column(t, "object_id", [" "] * 4 + t["object_id"].to_pylist()[4:]),
        "object_id of the score table is empty in 4 of .* rows; fill them in, or leave the column out",
    ),
    "duplicate": (lambda t: pa.concat_tables([t, t.slice(4, 1)]), "more than once in a fold"),
    "partition": (lambda t: changed(t, "partition", 0, "test"), "Unknown partition 'test'"),
    "fold": (lambda t: with_column(t, "fold", ["a"] * t.num_rows), "not whole numbers"),
    "contradicting label": (lambda t: changed(t, "label", 0, 0), "different labels in different folds"),
    "contradicting object": (lambda t: changed(t, "object_id", 0, "part 3"), "different objects in different folds"),
    "no threshold": (
        lambda t: with_column(t, "partition", ["inference"] * t.num_rows),
        "Fold 0 has no threshold rows",
    ),
    "one class judged": (
        lambda t: t.filter(pc.or_(pc.equal(t["partition"], "threshold"), pc.equal(t["label"], 0))),
        "inference partition of fold 0 has pictures of one class",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_meaningless_tables_are_refused_in_one_sentence(table, name):
    spoil, message = BAD[name]
    with pytest.raises(UserError, match=message) as error:
        prepare_scores(spoil(table))
    assert str(error.value).rstrip(".").count(". ") == 0


def test_empty_cells_of_a_csv_file_are_no_object(tmp_path):
    rows = [f"{i}.png,{'part ' + str(i) if i % 4 else ''},{int(i < 20)},{i / 40}" for i in range(40)]
    (tmp_path / "scores.csv").write_text("\n".join(["image_id,object_id,label,score", *rows]) + "\n")
    with pytest.raises(UserError, match="object_id of the score table is empty in 10 of 40 rows"):
        prepare_scores(read_scores(tmp_path / "scores.csv"))


def test_a_table_too_small_to_split_is_refused():
    table = pa.table({"image_id": ["a", "b", "c"], "label": [0, 0, 1], "score": [0.1, 0.2, 0.3]})
    with pytest.raises(UserError, match="1 anomalous object; at least 2"):
        prepare_scores(table)
