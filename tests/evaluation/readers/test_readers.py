"""Score files as other tools write them."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raylab2f.errors import UserError
from raylab2f.evaluation.readers import READERS, read_score_file
from raylab2f.evaluation.readers.anomalib import records
from raylab2f.evaluation.score_table import check_columns
from raylab2f.evaluation.scores import prepare_scores

# As the tools' machines name pictures: (path, label, score).
PICTURES = [
    *((f"/data/mvtec/bottle/test/good/{n:03}.png", 0, 0.1 + 0.03 * n) for n in range(8)),
    *((f"/data/mvtec/bottle/test/broken_large/{n:03}.png", 1, 0.3 + 0.07 * n) for n in range(5)),
    *((f"/data/mvtec/bottle/test/contamination/{n:03}.png", 1, 0.5 + 0.05 * n) for n in range(4)),
]
TYPES = {"broken_large", "contamination"}


def anomalib_csv(path, header="image_path,gt_label,pred_label,pred_score", row="{0},{1},1,{2:.6f}"):
    path.write_text("\n".join([header, *(row.format(*picture) for picture in PICTURES)]) + "\n", encoding="utf-8")
    return path


def fiftyone(path, **change):
    samples = [
        {
            "_id": {"$oid": f"{number:024x}"},
            "filepath": name,
            "tags": ["test"],
            "_media_type": "image",
            "ground_truth": {"_cls": "Classification", "tags": [], "label": name.split("/")[-2]},
            "pred_anomaly": {"_cls": "Classification", "label": "anomaly", "confidence": 0.9},
            "anomaly_score": score,
            **change,
        }
        for number, (name, _, score) in enumerate(PICTURES)
    ]
    path.write_text(json.dumps({"samples": samples}), encoding="utf-8")
    return path


def mlflow(path, columns=("image_path", "gt_label", "pred_score")):
    path.write_text(json.dumps({"columns": list(columns), "data": [list(row) for row in PICTURES]}), encoding="utf-8")
    return path


def arrays(path, **change):
    names, labels, scores = zip(*PICTURES, strict=True)
    given = {"scores": np.array(scores, np.float32), "labels_gt": np.array(labels), "image_paths": np.array(names)}
    np.savez(path, **{**given, **change})
    return path


def anomalib_json(path):
    rows = [{"image_path": name, "gt_label": bool(label), "pred_score": score} for name, label, score in PICTURES]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def anomalib_parquet(path):
    names, labels, scores = zip(*PICTURES, strict=True)
    pq.write_table(
        pa.table({"image_path": names, "gt_label": pa.array(labels, pa.int32()), "pred_score": scores}), path
    )
    return path


FILES = {
    "anomalib": (anomalib_csv, "predictions.csv"),
    "anomalib as JSON": (anomalib_json, "predictions.json"),
    "anomalib as Parquet": (anomalib_parquet, "predictions.parquet"),
    "fiftyone": (fiftyone, "samples.json"),
    "mlflow": (mlflow, "eval_results_table.json"),
    "patchcore": (arrays, "scores.npz"),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_tools_file_is_recognised_and_gives_the_same_table(kind, tmp_path):
    write, name = FILES[kind]
    found = read_score_file(write(tmp_path / name))
    assert found.tool == kind.split()[0]
    columns = check_columns(found.table)
    assert columns.image.tolist() == [name for name, _, _ in PICTURES]
    assert columns.label.tolist() == [bool(label) for _, label, _ in PICTURES]
    assert columns.score == pytest.approx([score for _, _, score in PICTURES], abs=1e-6)
    assert set(columns.defect[columns.label]) == TYPES
    assert [warning.code for warning in found.warnings] == ["RL318"]
    assert read_score_file(tmp_path / name, found.tool).table.equals(found.table)


def test_the_folder_is_the_label_where_no_column_is(tmp_path):
    path = anomalib_csv(tmp_path / "p.csv", "image_path,pred_score", "{0},{2:.6f}")
    assert check_columns(read_score_file(path).table).label.tolist() == [bool(label) for _, label, _ in PICTURES]


def test_windows_paths_tensors_and_batches_of_one(tmp_path):
    path = tmp_path / "p.json"
    rows = [
        {"image_path": [name.replace("/", "\\")], "pred_score": f"tensor([{score:.6f}], device='cuda:0')"}
        for name, _, score in PICTURES
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    columns = check_columns(read_score_file(path).table)
    assert columns.image.tolist() == [name for name, _, _ in PICTURES]
    assert columns.score == pytest.approx([score for _, _, score in PICTURES], abs=1e-6)
    assert columns.label.sum() == 9


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_encodings_and_decimal_commas(encoding, tmp_path):
    text = anomalib_csv(tmp_path / "p.csv", "image_path;gt_label;pred_score", "{0};{1};{2:.6f}").read_text("utf-8")
    head, *rows = text.splitlines()
    rows = [row.rpartition(";")[0] + ";" + row.rpartition(";")[2].replace(".", ",") for row in rows]
    (tmp_path / "p.csv").write_text("\n".join([head, *rows]), encoding=encoding)
    columns = check_columns(read_score_file(tmp_path / "p.csv").table)
    assert columns.score == pytest.approx([score for _, _, score in PICTURES], abs=1e-6)


def test_partitions_that_the_file_has_need_no_halves(tmp_path):
    path = mlflow(tmp_path / "t.json", ("image_path", "gt_label", "pred_score"))
    content = json.loads(path.read_text(encoding="utf-8"))
    content["columns"].append("partition")
    content["data"] = [[*row, ("threshold", "inference")[n % 2]] for n, row in enumerate(content["data"])]
    path.write_text(json.dumps(content), encoding="utf-8")
    found = read_score_file(path)
    assert found.warnings == ()
    assert set(check_columns(found.table).partition) == {"threshold", "inference"}


def test_a_table_of_scores_is_no_tools(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("image_id,label,score,pred_score\na,0,1,9\nb,1,2,9\n", encoding="utf-8")
    found = read_score_file(path)
    assert (found.tool, found.warnings) == (None, ())
    assert found.table["score"].to_pylist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("measures", "tool"),
    [
        ("instance_auroc,full_pixel_auroc,anomaly_pixel_auroc", "patchcore"),
        ("image_auroc,image_ap,pixel_auroc,pixel_ap,pixel_pro,best_epoch", "glass"),
    ],
)
def test_results_of_whole_data_sets_hold_no_scores(measures, tool, tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(f"Row Names,{measures}\nmvtec_bottle{',0.99' * len(measures.split(','))}\n", encoding="utf-8")
    for given in (None, tool):
        with pytest.raises(UserError, match="no score of any picture; save the scores"):
            read_score_file(path, given)


def test_arrays_without_names_are_numbered(tmp_path):
    np.savez(tmp_path / "s.npz", scores=np.array([[0.1], [0.7]]), labels=np.array([0, 1]))
    assert read_score_file(tmp_path / "s.npz", "glass").table["image_id"].to_pylist() == ["000000", "000001"]


def test_arrays_are_never_unpickled(tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harmed"), "w"))

    np.savez(tmp_path / "s.npz", scores=np.array([Harm(), Harm()], dtype=object))
    with pytest.raises(UserError, match="cannot be read as arrays"):
        read_score_file(tmp_path / "s.npz")
    assert not (tmp_path / "harmed").exists()


WRONG = [
    ("p.csv", "image_path,gt_label,pred_score\na/good/1.png,0,nan\nb/bad/2.png,1,2\n", "missing"),
    ("p.csv", "image_path,gt_label,pred_score\na,0,0.1\na,0,0.2\nb,1,1\n", "more than once in a fold"),
    ("p.csv", "image_path,gt_label,pred_score\na,,0.1\nb,1,0.2\n", "label"),
    ("p.csv", "image_path,gt_label,pred_score\na,0,1e999\nb,1,2\n", "infinite"),
    ("p.csv", "image_path,gt_label,pred_score\na,0,high\nb,1,2\n", "no number"),
    ("p.csv", "image_path,gt_label,pred_score\na,0,1.234.567\nb,1,2\n", "no number"),
    ("p.csv", "image_path,gt_label,pred_score\n", "empty"),
    ("p.csv", "image_path,pred_score\na,0.1\nb,0.2\n", r"p\.csv' does not say which pictures are good"),
    ("p.csv", "image_path,pred_score\nx/good/a,0.1\nb,0.2\n", "lies in no folder"),
    ("p.csv", "image_path,gt_label,pred_score,anomaly_score\na,0,1,2\n", "could each be score"),
    ("p.csv", "image_path,pred_score,pred_score\na,0,1\n", "more than once"),
    ("p.csv", "", "empty"),
    ("p.json", "[]", "JSON"),
    ("p.json", "{}", "JSON"),
    ("p.json", "[1, 2]", "JSON"),
    ("p.json", "{", "cannot be read as JSON"),
    ("p.json", '[{"image_path": "a", "pred_score": NaN}]', "cannot be read as JSON"),
    ("p.json", '[{"image_path": "a", "pred_score": [1, 2]}]', "no number"),
    ("p.json", '[{"image_path": "a", "gt_label": 0, "pred_score": 1%s}]' % ("0" * 350), "beyond"),
    ("t.json", '{"columns": ["image_path", "pred_score"], "data": [["a"]]}', "row 1 under data"),
    ("t.json", '{"columns": ["score", "score"], "data": [[1, 2]]}', "more than once"),
    ("t.json", '{"columns": ["a", "b"], "data": [[1, 2]]}', "lacks"),
    ("s.json", '{"samples": [{"filepath": "a"}]}', "no field of numbers"),
    ("s.json", '{"samples": [{"filepath": "a", "score_a": 1, "score_b": 2}]}', "score_a, score_b"),
    (
        "s.json",
        '{"samples": [{"filepath": "a", "score": 1, "one": {"_cls": "Classification", "label": "x"}, '
        '"two": {"_cls": "Classification", "label": "x"}}]}',
        "ground_truth",
    ),
    ("p.csv", b"\xff\xfe\x00", "read"),
    ("s.npz", b"PK\x03\x04nothing", "archive"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), WRONG)
def test_what_is_wrong_is_one_sentence(name, content, sentence, tmp_path):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=sentence) as caught:
        prepare_scores(read_score_file(path).table)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("tool", READERS)
def test_another_tool_named_is_told_the_right_one(tool, tmp_path):
    for kind, (write, name) in FILES.items():
        right = kind.split()[0]
        if tool == right or {tool, right} == {"patchcore", "glass"}:
            continue
        with pytest.raises(UserError, match=f"give --from {right}"):
            read_score_file(write(tmp_path / name), tool)


def test_tools_that_nobody_reads_and_files_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match="--from keras: files of these tools are read: anomalib, fiftyone"):
        read_score_file(anomalib_csv(tmp_path / "p.csv"), "keras")
    with pytest.raises(UserError, match="There is no score table"):
        read_score_file(tmp_path / "absent.csv", "anomalib")
    (tmp_path / "scores.csv").write_text("image_id,label,score\na,0,1\n", encoding="utf-8")
    with pytest.raises(UserError, match="leave --from out"):
        read_score_file(tmp_path / "scores.csv", "fiftyone")


def test_columns_whose_rows_stand_in_another_order_are_joined_by_the_names_of_rows():
    paths, scores = {"0": "good/a.png", "1": "bad/b.png"}, {"1": 0.9, "0": 0.1}
    assert records({"image_path": paths, "pred_score": scores}) == {
        "image_path": ["good/a.png", "bad/b.png"],
        "pred_score": [0.1, 0.9],
    }
    # Nothing says which rows these belong to.
    assert records({"image_path": paths, "pred_score": {"0": 0.1, "2": 0.9}}) is None
    assert records({"image_path": paths, "pred_score": [0.1, 0.9]}) is None
