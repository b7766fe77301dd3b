import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raylab2f.datasets import load_dataset
from raylab2f.datasets.layouts.table import read_table
from raylab2f.datasets.manifest import write_manifest
from raylab2f.errors import UserError


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_of_a_minimal_csv(tmp_path, save):
    save(tmp_path / "pics" / "a b.png")
    save(tmp_path / "pics" / "ö.png")
    file = write(tmp_path / "parts.csv", "path,label\npics/a b.png,0\npics/ö.png,1\n")
    dataset = load_dataset(file)
    assert dataset.name == "parts"
    rows = dataset.manifest.to_pylist()
    assert [row["image_id"] for row in rows] == ["pics/a b.png", "pics/ö.png"]
    assert [row["given_split"] for row in rows] == ["train", "test"]
    assert [row["defect_type"] for row in rows] == ["good", "defect"]
    assert [row["object_id"] for row in rows] == ["pics/a b.png", "pics/ö.png"]
    assert [(row["width"], row["height"]) for row in rows] == [(8, 6)] * 2
    assert rows[0]["path"] == str(tmp_path / "pics" / "a b.png")
    assert len(dataset.warnings) == 1


def test_text_stays_text_in_a_semicolon_csv_with_byte_order_mark(tmp_path):
    file = write(tmp_path / "m.csv", "\ufeffpath;label;object_id;view\na.png;nominal;007;1,5\nb.png;Anomalous;7;\n")
    first, second = read_table(file)
    assert (first.object_id, first.view, first.label) == ("007", "1,5", 0)
    assert (second.object_id, second.view, second.label) == ("7", None, 1)


def test_absolute_paths_and_uris_are_named_below_their_common_folder(tmp_path):
    file = write(tmp_path / "m.csv", "path,label\n/data/set/good/1.png,0\n/data/set/bad/1.png,1\n")
    assert [entry.image_id for entry in read_table(file)] == ["good/1.png", "bad/1.png"]
    file = write(tmp_path / "m.csv", "path,label\ns3://bucket/x/1.png,0\ns3://bucket/x/y/1.png,1\n")
    entries = read_table(file)
    assert [entry.image_id for entry in entries] == ["1.png", "y/1.png"]
    assert [entry.path for entry in entries] == ["s3://bucket/x/1.png", "s3://bucket/x/y/1.png"]


def test_pictures_are_read_from_uris(tmp_path, save):
    uris = [save(tmp_path / "p" / name).as_uri() for name in ("a.png", "b.png")]
    file = write(tmp_path / "m.csv", f"path,label\n{uris[0]},0\n{uris[1]},1\n")
    assert load_dataset(file).manifest["path"].to_pylist() == uris


def test_numbers_that_pandas_made_floats(tmp_path):
    table = pa.table({"path": ["a", "b"], "label": [0.0, 1.0], "object_id": [7.0, 8.0], "width": [5.0, float("nan")]})
    pq.write_table(table, tmp_path / "m.parquet")
    first, second = read_table(tmp_path / "m.parquet")
    assert (first.object_id, first.width, second.label, second.width) == ("7", 5, 1, None)


def test_a_folder_with_a_manifest_is_recognised(mvtec_folder, tmp_path):
    table = load_dataset(mvtec_folder, object_id=r"(?P<object>.+)").manifest
    folder = tmp_path / "written"
    write_manifest(folder / "manifest.parquet", table)
    again = load_dataset(folder)
    assert again.name == "written"
    assert again.manifest.equals(table)
    assert again.warnings == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\na.png\n", "column label is missing"),
        ("file,label\na.png,0\n", "column path is missing"),
        ("path,label\na.png,2\n", "label 2"),
        ("path,label\n,0\n", "row 1 has no path"),
        ("path,label,object_id\na.png,0,x\nb.png,1,\n", r"row 2 \(b\.png\) has no object_id"),
        ("path,label,width\na.png,0,wide\n", "width wide"),
        ("path,label\na.png,0,3\n", "row 1 has another number of cells"),
        ("path,label\na.png\n", "row 1 has another number of cells"),
        ("path,label\na.png,0\na.png,1\n", r"more than once: a\.png"),
        ("path,label\n", "no pictures"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        load_dataset(write(tmp_path / "m.csv", text))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_is_no_table_is_refused(tmp_path, suffix):
    file = tmp_path / f"m.{suffix}"
    file.write_bytes(b"\xff\xfe\x00nothing")
    with pytest.raises(UserError, match="cannot be read"):
        load_dataset(file)


def test_a_contradiction_between_label_and_defect_type_is_refused(tmp_path, save):
    for name in "ab":
        save(tmp_path / f"{name}.png")
    file = write(tmp_path / "m.csv", "path,label,defect_type\na.png,0,dent\nb.png,1,dent\n")
    with pytest.raises(UserError, match="defect_type"):
        load_dataset(file)


def test_a_picture_that_changed_since_is_named(mvtec_folder, tmp_path, save):
    write_manifest(tmp_path / "m.parquet", load_dataset(mvtec_folder).manifest)
    save(mvtec_folder / "train" / "good" / "001.png", size=(9, 9))
    with pytest.raises(UserError, match=r"good/001\.png: its content is not what"):
        load_dataset(tmp_path / "m.parquet")


def test_relative_paths_of_a_manifest_on_a_store_start_at_its_folder(s3, save, tmp_path):
    for name in ("a b.png", "ö.png"):
        s3.write(f"bucket/layouts/pics/{name}", save(tmp_path / name).read_bytes())
    text = "path,label,object_id\npics/a b.png,0,x\n../layouts/pics/ö.png,1,y\n"
    s3.write("bucket/layouts/manifest.csv", text.encode())
    for place in ("bucket/layouts", "bucket/layouts/manifest.csv"):
        dataset = load_dataset(s3.uri(place))
        assert dataset.name == "layouts"
        rows = dataset.manifest.to_pylist()
        assert [row["image_id"] for row in rows] == ["../layouts/pics/ö.png", "pics/a b.png"]
        assert rows[1]["path"] == s3.uri("bucket/layouts/pics/a%20b.png")
        assert [(row["width"], row["height"]) for row in rows] == [(8, 6)] * 2


def test_a_missing_picture_on_a_store_is_named(s3):
    s3.write("bucket/incomplete/m.csv", b"path,label\na.png,0\nb.png,1\n")
    with pytest.raises(UserError, match=r"a\.png: the file does not exist"):
        load_dataset(s3.uri("bucket/incomplete/m.csv"))


def test_a_row_with_credentials_is_refused(tmp_path):
    file = write(tmp_path / "m.csv", "path,label\ns3://key:hidden@bucket/1.png,0\n")
    with pytest.raises(UserError, match="credentials") as refusal:
        read_table(file)
    assert "hidden" not in str(refusal.value)


def entries_of(tmp_path, text, name="m.csv"):
    return read_table(write(tmp_path / name, text))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", ", ", " ; "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_manifest_is_the_same_however_it_is_written(tmp_path, separator, end):
    tidy = entries_of(tmp_path, "path,label,object_id,view\na.png,0,7,top\nb.png,1,8,\n")
    text = "Path,LABEL,Object ID,view\na.png,OK,7.0,top\nb.png,Defective, 8,NaN\n\n"
    assert entries_of(tmp_path, text.replace(",", separator).replace("\n", end)) == tidy
    assert (
        entries_of(tmp_path, '"path","label","object_id","view"\n"a.png","0.0","7","top"\n"b.png","1.0","8",""') == tidy
    )


def test_a_tsv_and_a_folder_with_one_are_manifests(tmp_path, save):
    for name in "ab":
        save(tmp_path / f"{name}.png")
    write(tmp_path / "manifest.tsv", "path\tlabel\na.png\tgood\nb.png\tNG\n")
    for place in (tmp_path, tmp_path / "manifest.tsv"):
        assert load_dataset(place).manifest["label"].to_pylist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,label\na.png,0,1\n", "has the column label twice"),
        ("path,label,Label\na.png,0,1\n", "columns 'label' and 'Label', which could each be label"),
        ("file,label\na.png,0\n", "column path is missing; .*rename 'file' to path"),
        ("a.png,0\nb.png,1\n", "put a line with the names of the columns first"),
        ("path,label,object_id\na.png,0,x\nb.png,1,nan\n", r"row 2 \(b\.png\) has no object_id"),
        ("path,label\nnone,0\n", "row 1 has no path"),
        ("path,label\na.png,-1\n", "has label -1"),
        ("path,label\na.png,nan\n", "has no label"),
        ("path,label,object_id\na.png,0,1.23457E+11\n", "a number that was rounded"),
        ("path,label,width\na.png,0,99999999999\n", "has width 99999999999"),
        ("path,label,given_split\na.png,0,val\n", r"row 1 \(a\.png\) has given_split val; write train or test"),
        ('path,label\n"a.png,0\nb.png",1\n', "line break"),
    ],
)
def test_what_is_refused_in_a_manifest_is_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as error:
        entries_of(tmp_path, text)
    assert "m.csv" in str(error.value)


def test_words_for_nothing_stand_for_absent_values(tmp_path):
    text = "path,label,object_id,view,mask_path,width\na.png,0,1,NA,nan,None\nb.png,1,2,top,b_mask.png,8\n"
    first, second = entries_of(tmp_path, text)
    assert (first.view, first.mask_path, first.width) == (None, None, None)
    assert (second.view, second.mask_path, second.width) == ("top", str(tmp_path / "b_mask.png"), 8)


def test_columns_that_may_be_meant_are_said(tmp_path, save):
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    (tmp_path / "m.csv").write_text("path,label,part,mask,Given_Split,notes\na.png,0,1,,Train,x\nb.png,1,2,,TEST,y\n")
    dataset = load_dataset(tmp_path / "m.csv")
    assert [str(warning) for warning in dataset.warnings if warning.code == "RL218"] == [
        "The column 'part' is not read; rename it to object_id if it is that.",
        "The column 'mask' is not read; rename it to mask_path if it is that.",
    ]
    assert dataset.manifest["given_split"].to_pylist() == ["train", "test"]


def test_objects_that_differ_in_leading_zeros_are_said(tmp_path, save):
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    (tmp_path / "m.csv").write_text("path,label,object_id\na.png,0,7\nb.png,1,07\n")
    (warning,) = load_dataset(tmp_path / "m.csv").warnings
    assert (warning.code, "leading zeros (07 and 7)" in warning) == ("RL201", True)


def test_two_manifests_in_one_folder_are_refused(tmp_path, save):
    for name in ("a.png", "b.png"):
        save(tmp_path / name)
    for suffix in ("csv", "tsv"):
        (tmp_path / f"manifest.{suffix}").write_text(
            "path,label\na.png,0\nb.png,1\n".replace(",", "\t,"[suffix == "csv"])
        )
    with pytest.raises(UserError, match=r"holds manifest\.csv and manifest\.tsv; name the file"):
        load_dataset(tmp_path)
    assert load_dataset(tmp_path / "manifest.tsv").manifest.num_rows == 2


def test_paths_with_backslashes_are_told_apart(tmp_path, save):
    for name in ("a.png", "b.png"):
        save(tmp_path / "x" / name)
    (tmp_path / "m.csv").write_text("path,label\nx\\a.png,0\nx\\b.png,1\n")
    with pytest.raises(UserError, match=r"does not exist; write / instead of \\ in paths"):
        load_dataset(tmp_path / "m.csv")
