"""Score tables as people have them give the arrays of the tidy one, or one sentence."""

import codecs
import csv
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate
from raylab2f.evaluation.comparison.runs import compare_scores
from raylab2f.evaluation.score_table import check_columns, read_scores
from raylab2f.evaluation.scores import prepare_scores

HEADER = ["image_id", "object_id", "label", "score", "fold", "partition", "defect_type"]


def rows(parts=16, pictures=2):
    """Cells of a tidy table: parts have numbers as names, some have a comma or a quote in the picture's."""
    rng = np.random.default_rng(5)
    found = []
    for fold in range(2):
        for part in range(parts):
            label = int(part < parts // 2)
            for view in range(pictures):
                score = f"{rng.normal(label):.4f}"
                side = ("threshold", "inference")[(part + fold) % 2]
                kind = ("dent", "ein Kratzer, lang")[part % 2] if label else "good"
                picture = f'{part}/{view}, "{view}".png'
                found.append([picture, str(part), str(label), score, str(fold), side, kind])
    return found


def write(path, header, cells, *, separator=",", quoting=csv.QUOTE_MINIMAL, end="\n", before="", encoding="utf-8"):
    text = io.StringIO()
    table = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end)
    table.writerow(header)
    table.writerows(cells)
    path.write_bytes((before + text.getvalue()).encode(encoding))
    return path


def same(first, second):
    for name, value in first.__dict__.items():
        np.testing.assert_array_equal(value, getattr(second, name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def tidy(folder):
    return prepare_scores(read_scores(write(folder / "tidy.csv", HEADER, rows())))


LABELS = [("0", "1"), ("0.0", "1.0"), ("good", "bad"), ("OK", "NG"), ("Normal", "Defective"), ("False", "True")]


@given(
    separator=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    spell=st.sampled_from([str, str.upper, str.title, lambda name: f" {name} ", lambda name: name.replace("_", " ")]),
    order=st.permutations(range(len(HEADER))),
    labels=st.sampled_from(LABELS),
    objects=st.sampled_from([str, lambda name: f"{name}.0", lambda name: f" {name} ", lambda name: f"\u00a0{name}"]),
    comma=st.booleans(),
    blank=st.sampled_from(["", "\n", "\n\n"]),
    suffix=st.sampled_from(["csv", "CSV", "tsv", "txt"]),
)
def test_a_table_written_by_any_program_is_the_tidy_one(
    folder, tidy, separator, quoting, end, encoding, spell, order, labels, objects, comma, blank, suffix
):
    cells = [
        [image, objects(part), labels[int(label)], score.replace(".", ",") if comma else score, *others]
        for image, part, label, score, *others in rows()
    ]
    path = write(
        folder / f"mangled.{suffix}",
        [spell(HEADER[place]) for place in order],
        [[row[place] for place in order] for row in cells],
        separator=separator,
        quoting=quoting,
        end=end,
        before=blank,
        encoding=encoding,
    )
    same(tidy, prepare_scores(read_scores(path)))


def test_parquet_of_pandas_gives_the_same(folder, tidy):
    columns = dict(zip(HEADER, map(list, zip(*rows(), strict=True)), strict=True))
    columns["object_id"] = [float(value) for value in columns["object_id"]]
    columns["label"] = pa.array(["ok" if value == "0" else "ng" for value in columns["label"]]).dictionary_encode()
    columns["score"] = [float(value) for value in columns["score"]]
    columns["fold"] = [float(value) for value in columns["fold"]]
    pq.write_table(pa.table(columns), folder / "pandas.parquet")
    same(tidy, prepare_scores(read_scores(folder / "pandas.parquet")))


def change(place, value, every=1):
    """Cells with another value in every few rows."""
    cells = rows()
    for row in cells[::every]:
        row[place] = value
    return cells


@pytest.mark.parametrize("word", ["nan", "NaN", " none ", "NULL", "NA", "<NA>", "n/a", ""])
@pytest.mark.parametrize("name", ["object_id", "image_id"])
def test_words_for_nothing_are_refused_as_names_and_their_rows_named(folder, name, word):
    path = write(folder / "nothing.csv", HEADER, change(HEADER.index(name), word, every=3))
    told = rf"column {name} of the score table is empty in 22 of 64 rows; .*\(rows 1, 4, 7 and 19 more"
    with pytest.raises(UserError, match=told):
        prepare_scores(read_scores(path))


def test_objects_that_differ_in_zeros_in_front_are_two_and_that_is_said(tidy):
    columns = dict(zip(HEADER, map(list, zip(*rows(), strict=True)), strict=True))
    columns["score"] = list(map(float, columns["score"]))
    columns["object_id"] = ["03" if o == "3" and v.startswith("3/1") else o for o, v in
                            zip(columns["object_id"], columns["image_id"], strict=True)]  # fmt: skip
    scores = prepare_scores(pa.table(columns))
    assert len(scores.object_anomalous) == len(tidy.object_anomalous) + 1
    assert [w.code for w in scores.warnings if "zeros" in w] == ["RL201"]
    assert "03 and 3" in scores.warnings[0]


def test_names_that_a_spreadsheet_rounded_are_refused(folder):
    path = write(folder / "rounded.csv", HEADER, change(1, "1.23457E+11", every=2))
    with pytest.raises(UserError, match=r"object_id of the score table has 1\.23457E\+11 in row 1, .* rounded"):
        prepare_scores(read_scores(path))


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (2, "maybe", r"Labels are 0 \(good, ok.*the score table has 0, 1, maybe"),
        (2, "nan", r"label of the score table has 1 missing values \(row 1\)"),
        (3, "nan", r"score of the score table has 1 missing values \(row 1\)"),
        (3, "inf", r"1 scores are NaN or infinite \(row 1\)"),
        (3, "1.234.567", "column score of '.*' has '1.234.567' in row 1, which is no number"),
        (3, "0,5", "'0,5' in row 1 and '.*' in row 2; write all its numbers with decimal points"),
        (4, "first", "column fold of the score table holds first, not whole numbers"),
        (4, "99999999999999999999", "not whole numbers"),
        (4, "", "column fold of the score table is empty in 1 of 64 rows"),
        (5, "test", "Unknown partition 'test'"),
        (1, "two\nlines", "name of several lines"),
        (0, "x" * 5000, "of more than 4096 letters"),
    ],
)
def test_cells_that_mean_nothing_are_named(folder, place, value, told):
    path = write(folder / "wrong.csv", HEADER, change(place, value, every=64))
    with pytest.raises(UserError, match=told) as error:
        prepare_scores(read_scores(path))
    assert str(error.value).rstrip(".").count(". ") == 0


def test_what_might_be_the_score_is_named(folder):
    header = ["image_id", "label", "anomaly_score", "pred_score"]
    path = write(folder / "others.csv", header, [["a", "0", "0.1", "0"], ["b", "1", "0.9", "1"]])
    with pytest.raises(UserError, match=r"lacks the column score; .*rename one of anomaly_score, pred_score to score"):
        prepare_scores(read_scores(path))
    with pytest.raises(UserError, match="rename 'Filename' to image_id if it is that"):
        prepare_scores(pa.table({"Filename": ["a"], "label": [0], "score": [0.5]}))


def test_a_column_twice_is_refused_in_a_table_from_memory_too():
    table = pa.Table.from_arrays(
        [pa.array(["a"]), pa.array([0]), pa.array([0.5])] * 2, ["image_id", "label", "score"] * 2
    )
    with pytest.raises(UserError, match="has the column image_id twice"):
        prepare_scores(table)


def test_defects_without_a_type_are_of_no_type(folder):
    path = write(folder / "types.csv", HEADER, change(6, "none", every=2))
    assert prepare_scores(read_scores(path)).defect_types == ("dent", "ein Kratzer, lang")
    assert prepare_scores(read_scores(write(folder / "types.csv", HEADER, change(6, "")))).defect_types == ()


def test_condition_view_and_repeat_are_passed_on_as_text(folder):
    header = [*HEADER, "Condition", "view", "other"]
    cells = [[*row, ("dark", "nan")[n % 2], f"{n % 3}.0", "x"] for n, row in enumerate(rows())]
    groups = prepare_scores(read_scores(write(folder / "groups.csv", header, cells))).groups
    assert set(groups) == {"condition", "view"}
    assert groups["condition"].tolist() == ["dark", ""] * 32
    assert set(groups["view"].tolist()) == {"0", "1", "2"}


def test_objects_meet_by_name_however_two_tables_write_them(simulate):
    table = simulate()
    number = [name.split()[1] for name in table["object_id"].to_pylist()]
    place = table.column_names.index("object_id")
    spelled = [pa.array(number), pa.array([f" {one}.0" for one in number]), pa.array(list(map(float, number)))]
    tables = {str(i): table.set_column(place, "object_id", column) for i, column in enumerate(spelled)}
    found = compare_scores(tables, metrics=("auroc",), replicates=50)
    assert [row.difference for row in found.differences] == [0, 0, 0]
    assert {row.bootstrap.high for row in found.differences} == {0}


def reversed_table(simulate, **options):
    table = simulate(**options)
    place = table.column_names.index("score")
    return table.set_column(place, "score", pa.compute.negate(table["score"]))


def codes(table, **options):
    return [warning.code for warning in evaluate(table, replicates=200, **options).warnings]


def test_scores_the_wrong_way_round_are_warned_of_once(simulate):
    options = {"separation": 4.0, "anomalous": 20, "nominal": 20}
    for interval in ("object-bootstrap", "delong", "clopper-pearson"):
        assert codes(reversed_table(simulate, **options), interval=interval).count("RL312") == 1
    assert "RL312" not in codes(simulate(**options))
    warning = next(
        w for w in evaluate(reversed_table(simulate, **options), replicates=200).warnings if w.code == "RL312"
    )
    assert "wrong way round" in warning


def test_chance_is_not_taken_for_the_wrong_way_round(simulate):
    assert all("RL312" not in codes(simulate(separation=0.0, seed=seed)) for seed in range(5))


@given(st.binary(max_size=80), st.sampled_from(["csv", "tsv", "parquet"]), st.booleans())
def test_any_bytes_give_columns_or_one_sentence(folder, content, suffix, header):
    path = folder / f"any.{suffix}"
    path.write_bytes((b"image_id,label,score\n" if header else b"") + content)
    try:
        check_columns(read_scores(path))
        sentence = ""
    except UserError as error:
        sentence = str(error)
    assert "\n" not in sentence


def test_a_byte_order_mark_is_no_part_of_a_name(folder):
    path = folder / "mark.csv"
    path.write_bytes(codecs.BOM_UTF8 + b'"image_id","label","score"\n"a","0","0.5"\n')
    assert read_scores(path).column_names == ["image_id", "label", "score"]


def small_table(**more):
    label = np.arange(40) % 4 == 0
    score = np.random.default_rng(0).normal(2.0 * label)
    return pa.table({"image_id": [f"p{k}" for k in range(40)], "label": label.astype(int), "score": score, **more})


def test_a_column_that_may_name_objects_is_said_not_passed_over():
    warnings = prepare_scores(small_table(part_id=[k // 2 for k in range(40)])).warnings
    assert "The column 'part_id' is not read; rename it to object_id if it is that." in warnings
    assert "RL218" in [warning.code for warning in warnings]


@pytest.mark.parametrize("name", ["split", "Set", "subset"])
@pytest.mark.parametrize("encode", [False, True])
def test_training_rows_under_another_name_are_not_judged(name, encode):
    values = pa.array(["Train" if k % 2 else "test" for k in range(40)])
    with pytest.raises(UserError, match=f"has training rows by its column '{name}', but no column partition"):
        prepare_scores(small_table(**{name: values.dictionary_encode() if encode else values}))
    assert prepare_scores(small_table(**{name: ["test"] * 40})).label.any()


def test_one_class_is_said_to_be_one_class():
    table = small_table()
    table = table.set_column(1, "label", pa.array([0] * 40))
    with pytest.raises(UserError, match="one class: there are no anomalous ones"):
        prepare_scores(table)


def test_bytes_of_a_fixed_length_are_no_names():
    ids = pa.array([f"{k:04d}".encode() for k in range(40)], pa.binary(4))
    with pytest.raises(UserError, match="image_id of the score table holds fixed_size_binary"):
        prepare_scores(small_table().set_column(0, "image_id", ids))
