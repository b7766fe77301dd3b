"""`raylab2f predict` on the command line."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from in_process import raylab2f
from PIL import Image
from small_models import plate, write_small_model

PROGRAM = Path(sys.executable).with_name("raylab2f")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("models") / "plates")


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    folder = tmp_path_factory.mktemp("line")
    for number in range(4):
        Image.fromarray(plate(10 + number, spot=number == 3)).save(folder / f"part{number}.png")
    return folder


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_rows_go_to_the_standard_output_and_all_else_to_the_other(model, line):
    process = raylab2f("predict", model, line)
    assert process.returncode == 0
    assert [row["verdict"] for row in rows(process.stdout)] == ["accept"] * 3 + ["reject"]
    assert "parts: 3 accepted, 0 for review, 1 rejected" in process.stderr


def test_a_rejected_part_fails_the_command_if_that_is_asked_for(model, line):
    assert raylab2f("predict", model, line / "part3.png", "--fail-on-reject").returncode == 5
    assert raylab2f("predict", model, line / "part0.png", "--fail-on-reject").returncode == 0


def test_patterns_and_parts(model, line):
    process = raylab2f("predict", model, f"{line}/part[23].png", "--object-id", "(?P<object>part)")
    assert [row["verdict"] for row in rows(process.stdout)] == ["reject", "reject"]


def test_what_is_no_file_is_a_row_and_takes_no_memory(model, tmp_path):
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    process = raylab2f("predict", model, tmp_path / "zero.png")
    assert process.returncode == 0, process.stderr
    assert "no file but" in rows(process.stdout)[0]["error"]


def test_rows_of_another_time_are_not_overwritten(model, line, tmp_path):
    assert raylab2f("predict", model, line, "--out", tmp_path / "out").returncode == 0
    before = (tmp_path / "out" / "pictures.csv").read_text()
    process = raylab2f("predict", model, line / "part0.png", "--out", tmp_path / "out")
    assert process.returncode == 2
    assert "of another time" in process.stderr
    assert (tmp_path / "out" / "pictures.csv").read_text() == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "PICTURES: name files"),
        (["{line}", "--watch", "{line}"], "--watch"),
        (["{line}", "--format", "parquet"], "--format parquet"),
        (["{line}", "--overlays"], "--overlays"),
        (["nowhere"], "nowhere: there is no such file"),
        (["{line}", "--object-id", "("], "--object-id"),
        (["{line}", "--out", "/proc/nowhere"], "/proc/nowhere"),
        (["{line}", "--out", "s3://bucket/out"], "a path of this machine is needed"),
        (["--watch", "s3://bucket/line"], "a path of this machine is needed"),
    ],
)
def test_mistakes_are_told_in_one_sentence(model, line, options, says):
    process = raylab2f("predict", model, *(option.format(line=line) for option in options))
    assert process.returncode == 2
    assert says in process.stderr
    assert "Traceback" not in process.stderr


def test_a_folder_without_a_model_is_told(tmp_path, line):
    process = raylab2f("predict", tmp_path, line)
    assert process.returncode == 2
    assert "raylab2f finalise" in process.stderr


def test_watching_ends_with_a_signal_and_keeps_what_it_wrote(model, line, tmp_path):
    command = [PROGRAM, "predict", model, "--watch", line, "--out", tmp_path / "out"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    written = tmp_path / "out" / "pictures.csv"
    for _ in range(600):
        if written.exists() and len(rows(written.read_text())) == 4:
            break
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert len(rows(out)) == 4
    assert "Traceback" not in err


@pytest.mark.parametrize("held", [True, False])
def test_a_stopped_command_claims_only_rows_that_are_there(tmp_path, held):
    from raylab2f.cli.predict import _kept

    if held:
        (tmp_path / "pictures.partial.csv").write_text("image_id\n")
    said = _kept(tmp_path)
    assert ("pictures.partial.csv" in said) == held
    assert ("no picture had been judged" in said) != held
