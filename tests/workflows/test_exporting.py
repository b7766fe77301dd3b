"""An exported file is kept only where it decides as the model does."""

import json
import os
import re
import shutil
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from rich.console import Console
from small_models import small_judge, write_small_model

import raylab2f
from raylab2f.errors import UserError
from raylab2f.files.digests import sha256_of
from raylab2f.files.parquet import read_parquet
from raylab2f.models.export import pt2
from raylab2f.models.export.graph import JudgingGraph, largest_picture
from raylab2f.models.folder import load_model, read_reference
from raylab2f.reporting import Display
from raylab2f.workflows.exporting import export_folder, export_model


@pytest.fixture(scope="module")
def judge():
    return small_judge()


@pytest.fixture
def model(tmp_path, judge):
    return write_small_model(tmp_path / "model", judge)


def export(model, out, **options):
    quiet = Display(Console(quiet=True))
    return export_model(str(model), kind="pt2", precision="float32", out=out, display=quiet, **options)


@pytest.fixture(scope="module")
def program(tmp_path_factory, judge):
    """The folder with the exported file, written once."""
    folder = tmp_path_factory.mktemp("program")
    pt2.FORMAT.write(JudgingGraph(judge), folder, "float32", [])
    return folder


@pytest.fixture
def written_before(monkeypatch, program):
    """The file is copied rather than written again; all that follows is as ever."""

    def write(graph, folder, precision, pictures):
        shutil.copytree(program, folder, dirs_exist_ok=True)

    monkeypatch.setattr(pt2, "FORMAT", replace(pt2.FORMAT, write=write))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_decides_alike_is_kept_with_what_shows_it(model, tmp_path):
    out = tmp_path / "out"
    certificate = export(model, out)
    assert names(out) == ["certificate.json", "certificate.md", "model.pt2"]
    assert json.loads((out / "certificate.json").read_text()) == certificate
    assert certificate["kept"]
    assert certificate["files"] == {"model.pt2": sha256_of(out / "model.pt2")}
    assert certificate["model"] == {"name": "plates", "sha256": sha256_of(model / "model.json")}
    assert certificate["findings"]["pictures"] == 4
    assert certificate["findings"]["flips"]["count"] == 0
    assert certificate["findings"]["score_difference"]["largest_of_scale"] < 1e-4
    assert {"torch", "raylab2f"} <= certificate["versions"].keys()
    page = (out / "certificate.md").read_text()
    assert "The file was kept." in page
    assert certificate["files"]["model.pt2"] in page


def test_the_card_tells_of_exports_in_the_models_folder(tmp_path):
    own = write_small_model(tmp_path / "own")
    for _ in range(2):
        export(own, own / "exports" / "pt2-float32")
    card = (own / "MODEL_CARD.md").read_text()
    assert card.startswith("# plates\n")
    assert card.count("## Exports") == 1
    assert re.search(r"\| pt2-float32 \| 0 \| 0 of 4 \(0 to 60 %\) \|", card)
    load_model(own)
    before = card
    export(own, tmp_path / "elsewhere")
    assert (own / "MODEL_CARD.md").read_text() == before


def above(runner):
    """A file whose scores are those of defective plates."""

    def run(pictures):
        scores, maps = runner(pictures)
        return scores + 1000, maps

    return run


def without_number(runner):
    def run(pictures):
        scores, maps = runner(pictures)
        return np.full_like(scores, np.nan), maps

    return run


@pytest.mark.usefixtures("written_before")
@pytest.mark.parametrize("reader", [above, pytest.param(without_number, marks=pytest.mark.slow)])
def test_a_file_that_decides_otherwise_is_not_left(model, tmp_path, reader):
    out = tmp_path / "out"
    export(model, out)
    with pytest.raises(UserError, match=r"4 verdicts changed beyond the margin and --max-flips allows 0"):
        export(model, out, reader=reader)
    # Nor that of before.
    assert names(out) == ["certificate.json", "certificate.md"]
    certificate = json.loads((out / "certificate.json").read_text())
    assert certificate["kept"] is False
    assert certificate["findings"]["flips"]["outside_margin"] == 4
    assert "NOT kept" in (out / "certificate.md").read_text()
    with pytest.raises(UserError, match="allows 3"):
        export(model, out, reader=reader, max_flips=3)
    assert export(model, out, reader=reader, max_flips=4)["kept"]
    assert "model.pt2" in names(out)


@pytest.mark.usefixtures("written_before")
def test_what_changes_within_the_margin_is_counted_but_allowed(tmp_path, judge):
    model = write_small_model(tmp_path / "model", judge)
    record = json.loads((model / "model.json").read_text())
    # Thresholds often are scores themselves; a little less, for these were computed together with others.
    threshold = float(read_reference(model)[0]["score"].to_numpy().max()) * (1 - 4e-6)
    record["decision"]["threshold"] = threshold
    (model / "model.json").write_text(json.dumps(record))

    def less(runner):
        return lambda pictures: (runner(pictures)[0] - 1e-5 * max(1, threshold), runner(pictures)[1])

    flips = export(model, tmp_path / "out", reader=less)["findings"]["flips"]
    assert (flips["count"], flips["outside_margin"]) == (1, 0)
    with pytest.raises(UserError, match="1 verdicts changed beyond"):
        export(model, tmp_path / "out", reader=less, margin=1e-6)


def test_other_files_are_left_alone(model, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds other files \(model\); choose a new folder"):
        export(model, tmp_path)
    assert (tmp_path / "note.txt").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_nobody_may_write_to(model, tmp_path):
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    with pytest.raises(UserError, match="cannot be written"):
        export(model, out)


def test_a_file_in_place_of_the_folder(model, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match=r"out.* cannot be written \(Not a directory\)"):
        export(model, tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mask_background": True}, "without --mask-background and --centre-embed"),
        ({"canvas": [80, 80], "fit": "pad"}, "without --mask-background and --centre-embed"),
    ],
)
def test_pictures_that_need_masks_are_refused(judge, change, sentence):
    other = small_judge()
    other.preparation = replace(other.preparation, **change)
    with pytest.raises(UserError, match=sentence):
        JudgingGraph(other)


def test_turned_copies_are_refused():
    with pytest.raises(UserError, match="--eval-angles 0"):
        JudgingGraph(small_judge(angles=(0.0, 90.0)))


@pytest.mark.parametrize(("name", "module"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_an_absent_runtime_is_named_with_how_to_get_it(model, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"pip install raylab2f\[{name}\]"):
        raylab2f.export(model, format=name)
    assert not (model / "exports").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"format": "pt2", "precision": "int8"}, "--format pt2 offers float32"),
        ({"format": "openvino", "precision": "int8"}, "--format openvino offers float32 or float16"),
        ({"largest_picture": "wide"}, "--largest-picture"),
        ({"max_flips": -1}, "max_flips"),
        ({"format": "pt2", "run": "nowhere"}, "nowhere"),
    ],
)
def test_mistakes_are_sentences(model, options, sentence):
    with pytest.raises(UserError, match=sentence):
        raylab2f.export(model, **options)
    assert not (model / "exports").exists()


def test_a_model_on_a_store_needs_a_folder_here():
    with pytest.raises(UserError, match="say with --out"):
        export_folder("s3://bucket/model", "onnx", "float32")


def test_the_largest_picture_is_a_quarter_beyond_the_evaluations(judge):
    assert largest_picture(judge) == (120, 120)


@pytest.mark.slow
def test_a_runs_pictures_are_judged_from_their_files(tmp_path):
    (run,) = raylab2f.cross_validate(
        detector="mahalanobis", preset="fast", folds=2, replicates=100, out=str(tmp_path / "run")
    ).runs
    model = raylab2f.finalise(run, tmp_path / "model", from_fold=0)
    exported = raylab2f.export(model, format="onnx", run=run)
    found = exported.certificate["findings"]
    scores = pa.concat_tables(read_parquet(tmp_path / "run" / "folds" / str(k) / "scores.parquet") for k in range(2))
    judged = scores.filter(pc.equal(scores["partition"], "inference"))
    assert found["score_difference"]["largest_of_scale"] < 1e-4
    assert found["flips"]["outside_margin"] == 0
    assert found["pictures"] == len(judged["image_id"].unique())
