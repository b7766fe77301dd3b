"""A manifest beside a file of scores."""

import pyarrow as pa
import pytest

from raylab2f.errors import UserError
from raylab2f.evaluation.readers import read_score_file
from raylab2f.evaluation.readers.manifest import join_manifest


def scores(*names, **columns):
    return pa.table({"image_id": list(names), "score": [0.5] * len(names), **columns})


def write(folder, text):
    path = folder / "parts.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        (["good/1.png", "bad/1.png"], ["good/1.png", "bad/1.png"]),
        (["/a/b/good/1.png", "/a/b/bad/1.png"], ["good/1.png", "bad/1.png"]),
        (["/a/b/test/good/1.png", "/a/b/test/bad/1.png"], ["/mnt/c/test/good/1.png", "/mnt/c/test/bad/1.png"]),
        (["1.png", "2.png"], ["pictures/1.png", "pictures/2.png"]),
        (["./x/1.png", "./x/2.png"], ["1.png", "2.png"]),
        ([r"C:\x\good\1.png", r"C:\x\bad\1.png"], ["good/1.png", "bad/1.png"]),
    ],
)
def test_pictures_are_found_whatever_lies_above_them(names, listed, tmp_path):
    lines = [f"{name},part{number},{number}" for number, name in enumerate(listed)]
    # Others of the manifest, such as those that trained, do not matter.
    lines += [f"{listed[0].rpartition('/')[0] or 'pictures'}/unused.png,part9,0"]
    manifest = write(tmp_path, "path,object_id,label\n" + "\n".join(lines))
    joined = join_manifest(scores(*names), manifest, "'p.csv'")
    assert joined["object_id"].to_pylist() == ["part0", "part1"]
    assert joined["label"].to_pylist() == ["0", "1"]


def test_what_the_manifest_says_wins_but_for_labels(tmp_path):
    manifest = write(tmp_path, "image_id,object_id,view,label,defect_type\na,1,left,ok,good\nb,2,right,ng,dent\n")
    table = scores("a", "b", object_id=["x", "y"], label=[0, 1])
    joined = join_manifest(table, manifest, "'p.csv'")
    assert joined["object_id"].to_pylist() == ["1", "2"]
    assert joined["view"].to_pylist() == ["left", "right"]
    assert joined["defect_type"].to_pylist() == [None, "dent"]
    assert joined["label"].to_pylist() == [0, 1]
    with pytest.raises(UserError, match=r"'p.csv' says that 'b' is 0, .* that it is ng; mend"):
        join_manifest(scores("a", "b", label=[0, 0]), manifest, "'p.csv'")


def test_a_picture_in_several_folds_is_one(tmp_path):
    manifest = write(tmp_path, "image_id,object_id\na,1\nb,2\n")
    assert join_manifest(scores("a", "b", "a"), manifest, "x")["object_id"].to_pylist() == ["1", "2", "1"]


@pytest.mark.parametrize(
    ("names", "text", "sentence"),
    [
        (["a", "c"], "image_id,label\na,0\nb,1\n", "1 of 2 pictures are not in .*, 'c' among them"),
        (["x/1.png", "y/2.png"], "path\ngood/1.png\nbad/1.png\n", "not in"),
        (["1.png", "2.png"], "path\ngood/1.png\nbad/1.png\nbad/2.png\n", "'1.png' may be 'good/1.png' and 'bad/1.png'"),
        (["good/1.png", "bad/1.png"], "path\n1.png\n2.png\n", "are both '1.png' of"),
        (["a"], "image_id,label\na,0\na,0\n", "may be 'a' and 'a'"),
        (["a"], "label,object_id\n0,1\n", "names no pictures"),
        (["a"], "", "empty"),
    ],
)
def test_what_does_not_fit_is_one_sentence(names, text, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        join_manifest(scores(*names), write(tmp_path, text), "'p.csv'")


def test_a_table_of_scores_without_labels_gets_them_from_a_manifest(tmp_path):
    manifest = write(tmp_path, "path,label,object_id\npics/a.png,0,1\npics/b.png,1,2\n")
    path = tmp_path / "scores.csv"
    path.write_text("image_id,score\na.png,1\nb.png,2\n", encoding="utf-8")
    found = read_score_file(path, manifest=manifest)
    assert found.table["label"].to_pylist() == ["0", "1"]
    assert found.warnings == ()
