"""A look at neighbours never fails, and never waits for long."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from raylab2f.files.atomic import write_json, write_parquet
from raylab2f.files.digests import sha256_of
from raylab2f.runs.fold import SCORES_SCHEMA
from raylab2f.runs.folder import DataSettings, RunFolder, RunSettings
from raylab2f.runs.siblings import find_picture_split

SETTINGS = RunSettings(data=DataSettings("/parts.csv"), detector="csflow", preset="fast", config={}, folds=2)
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def scores(**changed):
    rows = 8
    columns = {
        "fold": [0] * rows,
        "partition": ["threshold", "inference"] * 4,
        "image_id": [str(i) for i in range(rows)],
        "object_id": [str(i // 2) for i in range(rows)],
        "label": [0, 0, 1, 1] * 2,
        "defect_type": [None] * rows,
        "view": [None] * rows,
        "condition": [None] * rows,
        "score": np.linspace(0, 1, rows).tolist(),
    }
    return pa.table(columns | changed)


def neighbour(place, *, table=None, **settings):
    """A finished run, split by picture."""
    values = {**SETTINGS.to_dict(), "split_by": "picture", **settings}
    write_json(place / "run.json", {"settings": values, "dataset": {"fingerprint": "abc"}})
    fold = place / "folds" / "0"
    write_parquet(fold / "scores.parquet", scores().cast(SCORES_SCHEMA) if table is None else table)
    write_json(fold / "fold.json", {"files": {"scores.parquet": sha256_of(fold / "scores.parquet")}})
    return place


def look(place):
    return find_picture_split(RunFolder(str(place)), SETTINGS, "abc")


def test_a_sibling_is_found(tmp_path):
    other = neighbour(tmp_path / "picture")
    found = look(tmp_path / "own")
    assert found[0] == str(other)
    assert found[1].num_rows == 8


ODD = {
    "a pipe": lambda place: os.mkfifo(place / "run.json"),
    "a folder": lambda place: (place / "run.json").mkdir(),
    "nested": lambda place: (place / "run.json").write_text("[" * 200_000),
    "a number": lambda place: (place / "run.json").write_text('{"settings": ' + "9" * 100_000 + "}"),
    "odd types": lambda place: (place / "run.json").write_text('{"settings": 3, "dataset": []}'),
    "a list": lambda place: (place / "run.json").write_text("[]"),
    "bytes": lambda place: (place / "run.json").write_bytes(b"\xff\xfe\x00"),
    "a loop": lambda place: (place / "run.json").symlink_to(place / "run.json"),
    "endless": lambda place: (place / "run.json").symlink_to("/dev/zero"),
    "folds": lambda place: neighbour(place, folds=10**12, seed=1),
    "nan": lambda place: neighbour(place, table=scores(score=[float("nan")] * 8).cast(SCORES_SCHEMA)),
    "labels": lambda place: neighbour(place, table=scores(label=[7] * 8).cast(SCORES_SCHEMA)),
    "columns": lambda place: neighbour(place, table=pa.table({"score": ["x"]})),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_wrong_with_a_neighbour_is_as_if_it_were_not_there(tmp_path, odd):
    (tmp_path / "a first").mkdir()
    ODD[odd](tmp_path / "a first")
    assert look(tmp_path / "own") is None
    other = neighbour(tmp_path / "picture")
    assert look(tmp_path / "own")[0] == str(other)


def test_a_pipe_in_place_of_scores_holds_nothing_up(tmp_path):
    other = neighbour(tmp_path / "picture")
    scores_of = other / "folds" / "0" / "scores.parquet"
    scores_of.unlink()
    os.mkfifo(scores_of)
    assert look(tmp_path / "own") is None


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs to become another user")
@pytest.mark.parametrize("closed", ["x", "."])
def test_a_folder_that_may_not_be_read_is_passed_over(tmp_path, closed):
    place = Path("/tmp") / f"raylab2f-neighbours-{os.getpid()}"
    try:
        (place / "x").mkdir(parents=True)
        (place / "a").mkdir()
        write_json(place / "x" / "run.json", {})
        (place / closed).chmod(0o711 if closed == "." else 0o000)
        source = (
            "import json, sys; from raylab2f.runs.folder import *; from raylab2f.runs.siblings import *; "
            "settings = RunSettings.from_dict(json.loads(sys.argv[2])); "
            "print(find_picture_split(RunFolder(sys.argv[1]), settings, 'abc'))"
        )
        command = [*NOBODY, sys.executable, "-c", source, str(place / "a"), json.dumps(SETTINGS.to_dict())]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HOME": "/tmp"}, check=False)
        assert done.stdout.strip() == "None", done.stderr
    finally:
        (place / closed).chmod(0o755)
        shutil.rmtree(place)
