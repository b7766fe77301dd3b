"""Judged pictures come together from whatever they were written to."""

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
    import json

    (tmp_path / "jsonl" / "pictures.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n")
    return tmp_path


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_every_kind_says_the_same(folder, kind):
    table = read_judged([str(folder / kind)])
    assert table.column_names == ["image_id", "score", "decision", "day"]
    assert [float(score) for score in table["score"].to_pylist()] == [0.0, 0.5, 1.0]
    assert table.equals(read_judged([str(folder / kind / f"pictures.{kind}")]))


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


@pytest.mark.parametrize("text", ["{", "[1]", '{"image_id": 1}\n7', "\xff"])
def test_lines_that_are_no_rows_are_told(tmp_path, text):
    path = tmp_path / "pictures.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"pictures\.jsonl"):
        read_judged([str(path)])
