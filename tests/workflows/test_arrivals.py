"""What arrives in a folder is judged once, when it is whole."""

import csv
import io
import os
import threading
import time

import pytest
from PIL import Image
from small_models import plate, write_small_model

from raylab2f.errors import UserError
from raylab2f.workflows.arrivals import arrivals
from raylab2f.workflows.prediction import PredictionRules, watch_folder

RULES = PredictionRules(pixel_limit=10**6)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("models") / "plates")


def save(path, number=3, **options):
    Image.fromarray(plate(number, **options)).save(path)


def test_a_file_that_still_grows_is_waited_for(tmp_path):
    save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    found = arrivals(tmp_path, {"whole.png"}, 0.05)

    def write_slowly():
        with (tmp_path / "slow.png").open("wb") as file:
            for start in range(0, len(content), len(content) // 5 + 1):
                file.write(content[start : start + len(content) // 5 + 1])
                file.flush()
                time.sleep(0.03)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    arrival = next(found)
    writer.join()
    assert arrival.picture.image_id == "slow.png"
    assert (tmp_path / "slow.png").read_bytes() == content


def test_an_empty_file_is_handed_out_after_a_while_and_a_vanished_one_never(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "gone.png").touch()
    found = arrivals(tmp_path, set(), 0.05)
    threading.Timer(0.3, (tmp_path / "gone.png").unlink).start()
    began = time.monotonic()
    assert next(found).picture.image_id == "empty.png"
    assert time.monotonic() - began > 1.5


def test_what_is_written_anew_is_handed_out_again(tmp_path):
    save(tmp_path / "latest.png", 3)
    found = arrivals(tmp_path, set(), 0.05)
    assert next(found).picture.image_id == "latest.png"
    threading.Timer(0.3, lambda: save(tmp_path / "latest.png", 4, spot=True)).start()
    assert next(found).picture.image_id == "latest.png"
    assert (tmp_path / "latest.png").stat().st_size == found_size(4, tmp_path)


def found_size(number, folder):
    save(folder / ".other.png", number, spot=True)
    return (folder / ".other.png").stat().st_size


def test_what_was_judged_before_is_handed_out_only_when_it_changes(tmp_path):
    save(tmp_path / "old.png")
    found = arrivals(tmp_path, {"old.png"}, 0.05)
    threading.Timer(0.5, lambda: save(tmp_path / "new.png")).start()
    threading.Timer(2.5, lambda: save(tmp_path / "old.png", 5)).start()
    assert [next(found).picture.image_id for _ in range(2)] == ["new.png", "old.png"]


def test_what_looks_like_a_picture_but_is_none_is_told(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "moving.gif").write_bytes(b"GIF89a")
    found = arrivals(tmp_path, set(), 0.05)
    problems = {arrival.picture.image_id: arrival.picture.problem for arrival in (next(found) for _ in range(3))}
    assert problems.keys() == {"pipe.png", "lost.png", "moving.gif"}
    assert all(problems.values())


def watch(model, folder, most, **options):
    stream = io.StringIO()
    tally = watch_folder(model, folder, RULES, stream=stream, say=lambda line: None, most=most, **options)
    return tally, list(csv.DictReader(io.StringIO(stream.getvalue())))


def test_a_folder_is_watched_with_verdicts_latencies_and_reasons(model, tmp_path):
    line = tmp_path / "line"
    line.mkdir()
    save(line / "good.png")
    timer = threading.Timer(1.0, lambda: (save(line / "bad.png", 11, spot=True), (line / "x.png").write_text("x")))
    timer.start()
    tally, rows = watch(model, line, 3, out=tmp_path / "out")
    found = {row["image_id"]: row for row in rows}
    assert rows[0]["image_id"] == "good.png"
    assert {name: row["verdict"] for name, row in found.items()} == {
        "good.png": "accept", "bad.png": "reject", "x.png": "review",
    }  # fmt: skip
    assert found["x.png"]["error"]
    assert all(0 < float(row["milliseconds"]) < 60_000 for row in rows)
    assert (tally["accept"], tally["reject"], tally["review"]) == (1, 1, 1)


def test_what_was_judged_before_is_not_judged_again(model, tmp_path):
    line, out = tmp_path / "line", tmp_path / "out"
    line.mkdir()
    save(line / "first.png")
    watch(model, line, 1, out=out)
    save(line / "second.png")
    _, rows = watch(model, line, 1, out=out)
    assert [row["image_id"] for row in rows] == ["second.png"]
    with (out / "pictures.csv").open(newline="") as file:
        assert [row["image_id"] for row in csv.DictReader(file)] == ["first.png", "second.png"]


def test_what_cannot_be_watched_is_told(model, tmp_path):
    with pytest.raises(UserError, match="there is no such folder"):
        watch(model, tmp_path / "nowhere", 1, out=None)
    with pytest.raises(UserError, match="csv or jsonl"):
        watch_folder(model, tmp_path, PredictionRules(10**6, kind="parquet"), out=None, stream=io.StringIO(), say=print)


def test_a_folder_that_goes_and_comes_back_is_told(tmp_path):
    folder, away, said = tmp_path / "share", tmp_path / "away", []

    def say(line):
        said.append(line)
        if "gone" in line:
            save(away / "new.png")
            os.utime(away / "new.png", (1, 1))
            away.rename(folder)

    folder.mkdir()
    save(folder / "first.png")
    found = arrivals(folder, set(), 0.01, say)
    assert next(found).picture.image_id == "first.png"
    folder.rename(away)
    assert next(found).picture.image_id == "new.png"
    save(folder / "later.png")
    os.utime(folder / "later.png", (2, 2))
    assert next(found).picture.image_id == "later.png"
    assert said == [f"{folder} is gone; waiting for it", f"{folder} is there again"]
