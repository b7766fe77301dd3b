"""Judged pictures come together from whatever they were written to."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raylab2f.errors import UserError
from raylab2f.models.judged import read_judged


@pytest.fixture
def folder(tmp_path):
    rows = [{"image_id": f"{n}.png", "score": n / 2, "verdict": "accept", "day": "2026-05-01"} for n in range(3)]
    for kind in ("csv", "parquet", "jsonl"):
        (tmp_path / kind).mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "parquet" / "pictures.parquet")
    (tmp_path / "csv" / "pictures.csv").write_text(
        "image_id,score,verdict,day\n" + "".join(f"{','.join(map(str, row.values()))}\n" for row in rows)
    )
    (tmp_path / "jsonl" / "pictures.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n")
    return tmp_path


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_every_kind_says_the_same(folder, kind):
    table = read_judged([str(folder / kind)])
    assert table.column_names == ["image_id", "score", "decision", "day"]
    assert [float(score) for score in table["score"].to_pylist()] == [0.0, 0.5, 1.0]
    assert table.equals(read_judged([str(folder / kind / f"pictures.{kind}")]))


def test_pictures_without_a_part_stand_for_themselves(tmp_path):
    path = tmp_path / "pictures.csv"
    path.write_text("image_id,object_id,score\na.png,,1\nb.png,7,2\n")
    assert read_judged([str(path)])["object_id"].to_pylist() == ["a.png", "7"]
    path.write_text("image_id,object_id,score\na.png,,1\nb.png,,2\n")
    assert "object_id" not in read_judged([str(path)]).column_names


def test_several_sources_follow_one_another(folder):
    assert len(read_judged([str(folder / kind) for kind in ("csv", "parquet", "jsonl")])) == 9


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: (f / "csv" / "pictures.csv").unlink(), "holds no pictures.csv"),
        (lambda f: (f / "csv" / "pictures.jsonl").write_text(""), "pictures.jsonl and pictures.csv"),
        (lambda f: (f / "csv" / "pictures.csv").write_text("a,b\n1,2\n"), "image_id"),
    ],
)
def test_what_is_no_table_is_told(folder, change, says):
    change(folder)
    with pytest.raises(UserError, match=says):
        read_judged([str(folder / "csv")])


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_of_a_picture_that_was_judged_again_on_a_day_the_last_row_counts(tmp_path, kind):
    rows = [("a.png", 1.0, "2026-05-01"), ("b.png", 2.0, "2026-05-01"), ("a.png", 3.0, "2026-05-01")]
    rows.append(("a.png", 4.0, "2026-05-02"))
    path = tmp_path / f"pictures.{kind}"
    names = ("image_id", "score", "day", "milliseconds")
    lines = [dict(zip(names, (*row, 12.5), strict=True)) for row in rows]
    if kind == "csv":
        text = ",".join(names) + "\n" + "".join(",".join(map(str, line.values())) + "\n" for line in lines)
    else:
        text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_text(text)
    found = read_judged([str(path)])
    assert found.column_names == ["image_id", "score", "day"]
    assert [float(score) for score in found["score"].to_pylist()] == [2.0, 3.0, 4.0]
    # Without the time that only a watched folder's rows have, two rows of a picture are two rows.
    path.write_text(text.replace("milliseconds", "other"))
    assert len(read_judged([str(path)])) == 4


@pytest.mark.parametrize("text", ["", "\n\n", '{"image_id": "a.png"}', '{"score": 1}'])
def test_lines_without_what_is_needed_name_their_file(tmp_path, text):
    path = tmp_path / "pictures.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=r"pictures\.jsonl names no"):
        read_judged([str(path)])


@pytest.mark.parametrize("text", ["{", "[1]", '{"image_id": 1}\n7', "\xff"])
def test_lines_that_are_no_rows_are_told(tmp_path, text):
    path = tmp_path / "pictures.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"pictures\.jsonl"):
        read_judged([str(path)])
