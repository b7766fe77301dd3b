"""Files from a stranger run no code and write nowhere else; the user reads one sentence.

Pickled weights are refused in features/test_weights.py, archives that climb out in datasets/test_archives.py and
datasets/download, names of pictures that climb out in preparation/test_segmented_set.py.
"""

import ast
import hashlib
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray.data  # registers a Parquet type whose values are pickles  # noqa: F401
import torch
from in_process import raylab2f
from safetensors.torch import load_file, save_file

from raylab2f.datasets import load_dataset
from raylab2f.detectors.base import Schedule
from raylab2f.detectors.checkpoint import _digest, load_detector, load_training, save_detector, save_training
from raylab2f.detectors.csflow import CSFlow, CSFlowConfig
from raylab2f.errors import UserError
from raylab2f.evaluation import evaluate, read_scores
from raylab2f.evaluation.comparison.run_scores import read_run
from raylab2f.features import FeatureStore
from raylab2f.features.store_writing import finish_store, write_part
from raylab2f.files.digests import sha256_of
from raylab2f.files.parquet import read_parquet
from raylab2f.preparation.shards import read_shard
from raylab2f.runs.epoch_scores import EpochScores
from raylab2f.runs.fold import fold_is_finished
from raylab2f.runs.folder import DataSettings, RunFolder, RunSettings
from raylab2f.workflows.evidence import open_run

PACKAGE = Path(__file__).parents[1] / "raylab2f"
RUNS_CODE = "holds Python objects, which can run code"


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture
def payload(tmp_path):
    """An object that must not be unpickled until the test ends."""
    marker = tmp_path / "code ran"
    yield Payload(marker)
    assert not marker.exists()


def extension(name, told=b""):
    return {"ARROW:extension:name": name, "ARROW:extension:metadata": told}


def with_objects(columns, name, payload):
    """A table of these columns, one of them Ray Data's type of pickled objects."""
    rows = len(next(iter(columns.values())))
    table = pa.table({**columns, name: pa.array([pickle.dumps(payload)] * rows, pa.large_binary())})
    field = table.schema.field(name).with_metadata(extension("ray.data.arrow_pickled_object"))
    return table.cast(table.schema.set(table.column_names.index(name), field))


def manifest_columns():
    return {"path": ["good.png", "bad.png"], "label": pa.array([0, 1], pa.int8()), "view": ["a", "b"]}


def test_the_payload_would_run_in_an_ordinary_reader(tmp_path):
    pq.write_table(with_objects(manifest_columns(), "view", Payload(tmp_path / "code ran")), tmp_path / "m.parquet")
    pq.read_table(tmp_path / "m.parquet").to_pylist()
    assert (tmp_path / "code ran").exists()


@pytest.mark.parametrize("name", ["path", "label", "view", "another"])
def test_a_manifest_with_objects(tmp_path, payload, name):
    pq.write_table(with_objects(manifest_columns(), name, payload), tmp_path / "m.parquet")
    with pytest.raises(UserError, match=f"column {name} {RUNS_CODE}"):
        load_dataset(tmp_path / "m.parquet")


def test_the_program_says_so_in_one_sentence(tmp_path, payload):
    pq.write_table(with_objects(manifest_columns(), "view", payload), tmp_path / "m.parquet")
    process = raylab2f("run-cv", "--data", tmp_path / "m.parquet", "--out", tmp_path / "run")
    assert process.returncode == 2
    assert RUNS_CODE in process.stderr
    assert len(process.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "storage"),
    [
        ("ray.data.arrow_tensor", pa.list_(pa.int64())),
        ("ray.data.arrow_tensor_v2", pa.large_list(pa.int64())),
        ("arrow.py_extension_type", pa.large_binary()),
        ("somebody.elses", pa.string()),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_type_whose_own_description_is_a_pickle(tmp_path, payload, name, storage, nested):
    field = pa.field("view", storage, metadata=extension(name, pickle.dumps(payload)))
    schema = pa.schema([pa.field("view", pa.list_(field)) if nested else field])
    pq.write_table(schema.empty_table(), tmp_path / "t.parquet")
    with pytest.raises(UserError, match=RUNS_CODE):
        read_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=f"s3://there: .* {RUNS_CODE}"):
        read_parquet("s3://there", content=(tmp_path / "t.parquet").read_bytes())


def test_what_pandas_and_arrow_say_of_plain_columns_does_not_matter(tmp_path, payload):
    """pandas' own description names Python types; the bytes stay bytes."""
    told = {"columns": [{"name": "note", "pandas_type": "bytes", "numpy_type": "object", "metadata": None}]}
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((2, 3)))
    table = pa.table({"note": pa.array([pickle.dumps(payload)] * 2, pa.binary()), "map": tensor})
    table = table.replace_schema_metadata({"pandas": json.dumps(told)})
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_parquet(tmp_path / "t.parquet").equals(table)
    assert read_parquet("t", ["note"], (tmp_path / "t.parquet").read_bytes()).equals(table.select(["note"]))


def test_parquet_is_read_in_one_place_only():
    readers = {"read_table", "read_pandas", "ParquetDataset", "ParquetFile", "read_schema"}
    found = {
        (str(path.relative_to(PACKAGE)), node.attr)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pq"
        if node.attr in readers
    }
    # A fold's maps are read in portions by the process that has just written them.
    assert found == {
        ("files/parquet.py", "read_schema"),
        ("files/parquet.py", "read_table"),
        ("runs/pixels.py", "ParquetFile"),
        ("runs/tile_predictions.py", "ParquetFile"),
    }


def score_columns():
    return {"image_id": list("abcd"), "object_id": list("abcd"), "label": [0, 0, 1, 1], "score": [0.1, 0.2, 0.8, 0.9]}


@pytest.mark.parametrize("name", ["image_id", "label", "score", "defect_type"])
def test_scores_with_objects(tmp_path, payload, name):
    pq.write_table(with_objects(score_columns(), name, payload), tmp_path / "s.parquet")
    with pytest.raises(UserError, match=RUNS_CODE):
        read_scores(tmp_path / "s.parquet")


@pytest.mark.parametrize("name", ["image_id", "label", "score"])
def test_scores_of_bytes(payload, name):
    table = pa.table({**score_columns(), name: pa.array([pickle.dumps(payload)] * 4, pa.binary())})
    with pytest.raises(UserError):
        evaluate(table, replicates=10)


def test_a_csv_of_scores_is_text(tmp_path, payload):
    cells = [pickle.dumps(payload, protocol=0).hex(), "=cmd|'/c calc'!A0", "!!python/object/apply:os.system [ls]"]
    lines = [f"{cell},{label},{label}" for label, cell in enumerate(cells)]
    (tmp_path / "s.csv").write_text("\n".join(["image_id,label,score", *lines]), encoding="utf-8")
    assert read_scores(tmp_path / "s.csv")["image_id"].to_pylist() == cells
    with pytest.raises(UserError, match="Labels are"):
        evaluate(read_scores(tmp_path / "s.csv"))


def write_run(folder, payload, evil):
    """A run folder whose tables are of no use, with objects in the one called `evil`."""
    config = {"schedule": {"epochs": 1}}
    (folder / "folds" / "0").mkdir(parents=True)
    settings = RunSettings(DataSettings(), "csflow", "fast", config).to_dict()
    (folder / "run.json").write_text(json.dumps({"settings": settings}), encoding="utf-8")
    columns = {"image_id": ["a"], "partition": ["train"]}
    for name in ("metrics", "manifest", "pictures", "folds/0/split", "folds/0/scores"):
        table = with_objects(columns, "partition", payload) if name == evil else pa.table(columns)
        pq.write_table(table, folder / f"{name}.parquet")
    fold = folder / "folds" / "0"
    digest = hashlib.sha256((fold / "scores.parquet").read_bytes()).hexdigest()
    (fold / "fold.json").write_text(json.dumps({"files": {"scores.parquet": digest}}), encoding="utf-8")


class Silent:
    """Nothing is shown before the tables are read."""


@pytest.mark.parametrize("evil", ["manifest", "pictures", "folds/0/split", "folds/0/scores"])
def test_a_run_with_objects_in_a_table(tmp_path, payload, evil):
    write_run(tmp_path / "run", payload, evil)
    with pytest.raises(UserError, match=RUNS_CODE):
        open_run(tmp_path / "run", tmp_path / "cache", Silent())
    if evil.startswith("folds"):
        with pytest.raises(UserError, match=RUNS_CODE):
            read_run(tmp_path / "run")


def test_tables_between_stages_with_objects(tmp_path, payload):
    pq.write_table(with_objects({"image_id": ["a"]}, "picture", payload), tmp_path / "t.parquet")
    with pytest.raises(UserError, match=RUNS_CODE):
        read_shard(tmp_path / "t.parquet", ["picture"])
    with pytest.raises(UserError, match=RUNS_CODE):
        EpochScores(tmp_path / "t.parquet", 0, 1, 1)


@pytest.mark.parametrize("settings", [b"", pickle.dumps(1), b"[]", b'{"settings": {"data": []}}', b'{"settings": 3}'])
def test_a_run_without_readable_settings(tmp_path, settings):
    (tmp_path / "run.json").write_bytes(settings)
    with pytest.raises(UserError, match=r"run\.json cannot be read"):
        RunFolder(tmp_path).settings()


@pytest.mark.parametrize("link", ["folds/0", "folds", ".raylab2f-tune", "figures", "folds/0/scores.parquet"])
def test_a_run_whose_parts_lie_elsewhere_is_not_written_to(tmp_path, payload, link):
    folder = tmp_path / "run"
    write_run(folder, payload, None)
    place = folder / link
    if place.exists():
        place.rename(tmp_path / "elsewhere")
    else:
        (tmp_path / "elsewhere").mkdir()
    place.symlink_to(tmp_path / "elsewhere")
    run = RunFolder(folder)
    for use in (
        lambda: run.check_continues(run.settings()),
        lambda: open_run(folder, tmp_path / "cache", Silent()),
    ):
        with pytest.raises(UserError, match="is a link"):
            use()


def test_a_fold_whose_record_names_files_elsewhere_is_not_finished(tmp_path):
    folder = tmp_path / "run" / "folds" / "0"
    folder.mkdir(parents=True)
    (folder / "scores.parquet").write_bytes(b"scores")
    (tmp_path / "outside").write_bytes(b"outside")
    os.mkfifo(folder / "endless")
    own, other = (hashlib.sha256(content).hexdigest() for content in (b"scores", b"outside"))

    def finished(files):
        (folder / "fold.json").write_text(json.dumps({"files": files}), encoding="utf-8")
        return fold_is_finished(folder)

    assert finished({"scores.parquet": own})
    for name in ("../../../outside", str(tmp_path / "outside"), "/dev/zero", "endless", "", "."):
        assert not finished({"scores.parquet": own, name: other})
    for files in ({}, [], "scores.parquet", {"scores.parquet": 3}):
        assert not finished(files)


@pytest.fixture
def detector():
    return CSFlow(CSFlowConfig(hidden_channels=4, schedule=Schedule(1, 1)), SHAPES)


SHAPES = [(4, 8, 8), (4, 4, 4), (4, 2, 2)]


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_model_that_is_a_pickle(tmp_path, payload, detector, save):
    save_detector(tmp_path, detector, SHAPES)
    save(payload, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        load_detector(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"detector": "os.system"},
        {"detector": ["csflow"]},
        {"config": {"__class__": "subprocess.Popen"}},
        {"config": {"schedule": {"run": "id"}}},
        {"config": "id"},
        {"feature_shapes": "../../x"},
        {"feature_shapes": [[1]]},
    ],
)
def test_a_description_of_no_detector(tmp_path, detector, change):
    save_detector(tmp_path, detector, SHAPES)
    description = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    (tmp_path / "model.json").write_text(json.dumps(description | change), encoding="utf-8")
    with pytest.raises(UserError):
        load_detector(tmp_path)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_checkpoint_that_is_a_pickle(tmp_path, payload, detector, save):
    save(payload, tmp_path / "c.safetensors")
    with pytest.raises(ValueError, match="usable checkpoint"):
        load_training(tmp_path / "c.safetensors", detector, detector.optimizers())


@pytest.mark.parametrize("name", ["optimizer/0/x/step", "optimizer/0/1", "optimizer/0/1/2/3", "model/../../x"])
@pytest.mark.parametrize("history", ["[]", "[3]", "{}", '[{"loss": "x"}]'])
def test_a_checkpoint_with_a_right_checksum_and_wrong_content(tmp_path, detector, name, history):
    path = tmp_path / "c.safetensors"
    save_training(path, detector, detector.optimizers(), [])
    tensors = {**load_file(path), name: torch.zeros(1)}
    save_file(tensors, path, metadata={"history": history, "sha256": _digest(tensors, history)})
    with pytest.raises(ValueError, match="usable checkpoint"):
        load_training(path, detector, detector.optimizers())


def test_features_that_are_a_pickle(tmp_path, payload):
    folder = tmp_path / "store"
    ingredients = {"layers": ["x"], "dtype": "float16"}
    write_part(folder, 0, ["a"], ["x"], [np.zeros((1, 2, 3, 3), np.float32)])
    finish_store(folder, ingredients)
    path = folder / "part-00000.x.npy"
    objects = np.empty((1, 2, 3, 3), object)
    objects[0] = payload
    np.save(path, objects, allow_pickle=True)
    record = json.loads((folder / "store.json").read_text(encoding="utf-8"))
    record["parts"][0]["files"]["x"] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    (folder / "store.json").write_text(json.dumps(record), encoding="utf-8")
    store = FeatureStore.open(folder)
    store.verify()
    with pytest.raises(UserError, match=r"damaged \(part-00000"):
        store.read(["a"], "x")


def test_a_class_that_a_model_names_is_not_imported(tmp_path, monkeypatch):
    ran = tmp_path / "ran"
    (tmp_path / "evil_module.py").write_text(f"open({str(ran)!r}, 'w')\nclass Evil: pass\n", encoding="utf-8")
    description = {"detector": "evil_module:Evil", "config": {}, "feature_shapes": []}
    (tmp_path / "model.json").write_text(json.dumps(description), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="only a file names it"):
        load_detector(tmp_path)
    assert not ran.exists()
