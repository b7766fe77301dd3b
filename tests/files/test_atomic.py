import json
import os
import resource
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raylab2f.errors import UserError
from raylab2f.files.atomic import atomic_path, remove_temporaries, write_json, write_parquet


def test_a_failing_writer_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "new folder" / "x.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["x.txt"]


def test_json_refuses_what_other_tools_cannot_read(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"score": float("nan")})
    assert list(tmp_path.iterdir()) == []
    write_json(tmp_path / "x.json", {"Grüße": 1.5})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"Grüße": 1.5}


def test_parquet_round_trip(tmp_path):
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    write_parquet(tmp_path / "t.parquet", table)
    assert pq.read_table(tmp_path / "t.parquet").equals(table)


@pytest.mark.parametrize("kind", ["parquet", "json", "npy"])
def test_a_full_disk_is_named_with_the_file_and_leaves_nothing(tmp_path, kind):
    """A limit on the size of files stands for it."""
    values = np.random.default_rng(0).random(100_000)

    def write_npy():
        with atomic_path(tmp_path / "x.npy") as temporary, temporary.open("wb") as file:
            np.save(file, values)

    write = {
        "parquet": lambda: write_parquet(tmp_path / "x.parquet", pa.table({"x": values})),
        "json": lambda: write_json(tmp_path / "x.json", values.tolist()),
        "npy": write_npy,
    }
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(UserError, match=f"x.{kind} cannot be written .* make room"):
            write[kind]()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_only_old_temporary_files_are_removed(tmp_path):
    names = (".x.npy.12.0123abcd.tmp", "x.npy", ".x.tmp", "x.npy.12.0123abcd.tmp")
    for folder, age in ((tmp_path / "old", 100), (tmp_path / "new", 0)):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
            os.utime(folder / name, (time.time() - age,) * 2)
    remove_temporaries(tmp_path, older_than=50)
    assert {path.name for path in (tmp_path / "old").iterdir()} == set(names[1:])
    assert {path.name for path in (tmp_path / "new").iterdir()} == set(names)


def test_a_place_that_is_none_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"x\.json cannot be written \(Not a directory\)"):
        write_json(tmp_path / "file" / "x.json", {})


def test_what_fails_elsewhere_is_not_blamed_on_the_file(tmp_path):
    def write():
        with atomic_path(tmp_path / "x.json"):
            (tmp_path / "nowhere").read_text()

    with pytest.raises(FileNotFoundError):
        write()
