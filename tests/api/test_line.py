"""`raylab2f.predict` and `raylab2f.monitor` in Python."""

import pytest
from PIL import Image
from small_models import plate, write_small_model

import raylab2f
from raylab2f.errors import UserError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("models") / "plates")


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    folder = tmp_path_factory.mktemp("line")
    for number in range(4):
        Image.fromarray(plate(10 + number, spot=number == 3)).save(folder / f"part{number}.png")
    return folder


def test_verdicts_come_as_tables_and_lie_where_they_shall(model, line, tmp_path):
    found = raylab2f.predict(model, line, object_id="(?P<object>part[0-9])")
    assert found.table["verdict"].to_pylist() == ["accept"] * 3 + ["reject"]
    assert found.parts["object_id"].to_pylist() == [f"part{number}" for number in range(4)]
    assert found.tally["reject"] == 1
    assert "part3" in found._repr_html_()
    written = raylab2f.predict(model, [line], out=tmp_path / "out", format="parquet")
    assert written.table.num_rows == 4
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["parts.parquet", "pictures.parquet"]
    monitored = raylab2f.monitor(model, tmp_path / "out", prevalence=0, out=tmp_path / "watched")
    assert not monitored.alarmed
    assert monitored.table.num_rows > 0
    assert "No alarm" in monitored._repr_html_()
    assert (tmp_path / "watched" / "monitor.html").exists()


def test_mistakes_are_sentences(model, line):
    for call, says in (
        (lambda: raylab2f.predict(model), "pictures: name files"),
        (lambda: raylab2f.predict(model, line, overlays=True), "name a folder"),
        (lambda: raylab2f.predict(model, line, out="s3://bucket/out"), "a path of this machine is needed"),
        (lambda: raylab2f.monitor(model), "JUDGED"),
        (lambda: raylab2f.monitor(model, "nowhere", prevalence=0), "nowhere"),
    ):
        with pytest.raises(UserError, match=says):
            call()
