"""Rows of predictions are whole when their file is there, and not lost when something stops."""

import csv
import io
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylab2f.files.parquet import read_parquet
from raylab2f.models.prediction_files import appending, stream_writer, write_overlay, written_whole

SCHEMA = pa.schema([("image_id", pa.string()), ("score", pa.float64())])
ROWS = [{"image_id": 'a,"b"\n.png', "score": 0.1 + 0.2}, {"image_id": "ü.png", "score": None}]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_rows_come_back_as_they_were(tmp_path, kind):
    path = tmp_path / "new" / f"pictures.{kind}"
    with written_whole(path, SCHEMA, kind) as writer:
        writer.write(ROWS[:1])
        writer.write(ROWS[1:])
        assert not path.exists()
    if kind == "parquet":
        assert read_parquet(path).to_pylist() == ROWS
    elif kind == "jsonl":
        assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == ROWS
    else:
        with path.open(newline="", encoding="utf-8") as file:
            read = list(csv.DictReader(file))
        assert (read[0]["image_id"], float(read[0]["score"])) == (ROWS[0]["image_id"], 0.1 + 0.2)
        assert read[1]["score"] == ""
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_what_was_judged_before_a_stop_is_kept_beside(tmp_path, kind, stop):
    path = tmp_path / f"pictures.{kind}"

    def stopped():
        with written_whole(path, SCHEMA, kind) as writer:
            writer.write(ROWS[:1])
            raise stop

    with pytest.raises(stop):
        stopped()
    partial = tmp_path / f"pictures.partial.{kind}"
    assert [one.name for one in tmp_path.iterdir()] == [partial.name]
    if kind == "parquet":
        assert read_parquet(partial).to_pylist() == ROWS[:1]
    with written_whole(path, SCHEMA, kind) as writer:
        writer.write(ROWS)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_growing_file_knows_what_it_holds(tmp_path, kind):
    path = tmp_path / f"pictures.{kind}"
    with appending(path, SCHEMA, kind) as (writer, known):
        assert known == set()
        writer.write(ROWS[:1])
        assert path.read_text(encoding="utf-8"), "a row is on disk at once"
    if kind == "jsonl":
        path.write_text(path.read_text() + '{"image_id": "cut')
    with appending(path, SCHEMA, kind) as (writer, known):
        assert known == {ROWS[0]["image_id"]}
        writer.write(ROWS[1:])
    if kind == "csv":
        with path.open(newline="", encoding="utf-8") as file:
            assert [row["image_id"] for row in csv.DictReader(file)] == [row["image_id"] for row in ROWS]


def test_a_stream_has_each_row_at_once():
    stream = io.StringIO()
    writer = stream_writer(stream, SCHEMA, "csv")
    writer.write(ROWS[1:])
    assert stream.getvalue() == "image_id,score\nü.png,\n"


@given(st.lists(st.text(min_size=1, max_size=300), min_size=2, max_size=4, unique=True))
def test_overlays_stay_in_their_folder_under_names_of_their_own(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("overlays")
    files = {write_overlay(folder, name, b"png") for name in [*names, "../../etc/passwd", "/etc/passwd", ".."]}
    assert len(files) == len(names) + 3 - len(set(names) & {"../../etc/passwd", "/etc/passwd", ".."})
    assert all(file.parent == folder and len(file.name) < 120 for file in files)
