"""Every command that takes a table says in one sentence what is wrong with it."""

import gzip
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from raylab2f.cli.app import app
from raylab2f.errors import UserError

RANDOM = np.random.default_rng(0).bytes(400)

# Name, content, what is said of it as a score table, and as a manifest.
FILES = {
    "empty.csv": (b"", "is empty", "is empty"),
    "blank.csv": (b"\n \n", "is empty", "is empty"),
    "random.csv": (RANDOM, "cannot be read", "cannot be read"),
    "random.parquet": (RANDOM, "called Parquet but is none", "called Parquet but is none"),
    "cut.parquet": (b"PAR1" + RANDOM, "cannot be read", "cannot be read"),
    "sheet.csv": (b"PK\x03\x04" + RANDOM, "an Excel file", "an Excel file"),
    "sheet.xlsx": (b"PK\x03\x04" + RANDOM, "an Excel file", "an Excel file"),
    "packed.csv": (gzip.compress(b"image_id,label,score\n"), "packed by gzip", "packed by gzip"),
    "latin.csv": ("image_id,path,label,score\nß,ß,0,1\n".encode("latin-1"), "not|UTF-8", "UTF-8"),
    "zeros.csv": (b"image_id,path,label,score\n\0,\0,0,1\n", "NUL", "NUL"),
    "headless.csv": (b"a.png,0,0.5\n", "names of the columns first", "names of the columns first"),
    "twice.csv": (b"image_id,path,label,label,score\na,a,0,1,1\n", "column label twice", "column label twice"),
    "candidates.csv": (b"image_id,path,label,Label,score\na,a,0,1,1\n", "'label' and 'Label'", "'label' and 'Label'"),
    "ragged.csv": (b"image_id,path,label,score\na,a,0,1,5\n", "another number of cells", "another number of cells"),
    "quote.csv": (b'image_id,path,label,score\na,"a,0,1\n', "quote", "quote"),
    "labels.csv": (b"image_id,path,label,score\na,a,maybe,1\n", "has maybe", "has label maybe"),
    "nan.csv": (b"image_id,path,label,score\nnan,nan,0,1\n", "empty in 1 of 1 rows", "row 1 has no path"),
    "no rows.csv": (b"image_id,path,label,score\n", "is empty", "no pictures"),
}  # fmt: skip


def refusal(*options):
    result = CliRunner().invoke(app, list(map(str, options)))
    assert isinstance(result.exception, UserError), (result.output, result.exception)
    sentence = str(result.exception)
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("name", FILES)
def test_scores_and_manifests(tmp_path, name):
    content, as_scores, as_manifest = FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    for options, told in (
        (("evaluate", path), as_scores),
        (("datasets", "manifest", path), as_manifest),
        (("run-cv", "--data", path, "--out", tmp_path / "run"), as_manifest),
    ):
        assert any(part in refusal(*options) for part in told.split("|")), options


@pytest.fixture(scope="module")
def run(write_run, tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "run", folds=2)


def with_column(path, name, values):
    table = pq.read_table(path)
    values = values if isinstance(values, pa.Array) else pa.array([values] * len(table))
    pq.write_table(table.set_column(table.column_names.index(name), name, values), path)


SPOILED = {
    "bytes": lambda path: path.write_bytes(RANDOM),
    "nothing": lambda path: path.write_bytes(b""),
    "a column twice": lambda path: pq.write_table(
        pq.read_table(path).append_column("image_id", pq.read_table(path)["image_id"]), path
    ),
    "no names": lambda path: with_column(path, "image_id", "NaN"),
    "null partitions": lambda path: with_column(path, "partition", pa.nulls(len(pq.read_table(path)), pa.string())),
    "no column": lambda path: pq.write_table(pq.read_table(path).drop_columns(["partition"]), path),
}


@pytest.mark.parametrize("file", ["split.parquet", "scores.parquet"])
@pytest.mark.parametrize("kind", SPOILED)
def test_tables_of_runs(run, tmp_path, kind, file):
    spoiled = shutil.copytree(run, tmp_path / "spoiled")
    SPOILED[kind](spoiled / "folds" / "1" / file)
    commands = [("compare", run, spoiled)]
    # Without partitions, halves are drawn.
    if (kind, file) != ("no column", "scores.parquet"):
        commands.append(("plan-samples", "--run", spoiled))
    for options in commands:
        assert refusal(*options)


def test_folds_whose_scores_do_not_fit_together(run, tmp_path):
    spoiled = shutil.copytree(run, tmp_path / "spoiled")
    with_column(spoiled / "folds" / "1" / "scores.parquet", "label", "good")
    assert "do not fit together" in refusal("plan-samples", "--run", spoiled)
