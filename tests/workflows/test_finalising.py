"""From a real run to a model that decides as the run's did."""

import csv
import json
import shutil

import numpy as np
import pyarrow.compute as pc
import pytest
from in_process import raylab2f as program

import raylab2f
from raylab2f.datasets.pictures import read_picture
from raylab2f.evaluation.decisions.carried import WAYS
from raylab2f.files.parquet import read_parquet
from raylab2f.models.judging import threads_limited
from raylab2f.runs.folder import RunFolder
from raylab2f.workflows.evidence import run_thresholds


@pytest.fixture(scope="module")
def run_copy(finished_run, tmp_path_factory):
    """Of the run of three folds, which finalising may add to."""
    return shutil.copytree(finished_run[0], tmp_path_factory.mktemp("finalised") / "run")


@pytest.fixture(scope="module")
def finalise(run_copy, shared_ray, tmp_path_factory):
    def finalise_with(*options, name="model"):
        out = tmp_path_factory.mktemp("made") / name
        process = program("finalise", run_copy, "--out", out, *options)
        assert process.returncode == 0, process.stdout + process.stderr
        return out, process.stdout

    return finalise_with


@pytest.fixture(scope="module")
def of_fold(finalise):
    return finalise("--from-fold", 1)


@pytest.fixture(scope="module")
def refitted(finalise):
    return finalise()


def test_the_model_of_a_fold_gives_the_folds_scores_and_has_its_threshold(run_copy, of_fold):
    model = raylab2f.load_model(of_fold[0])
    scores = read_parquet(run_copy / "folds" / "1" / "scores.parquet")
    manifest = {row["image_id"]: row for row in read_parquet(run_copy / "manifest.parquet").to_pylist()}
    with threads_limited(1):
        pictures = [read_picture(manifest[image_id]["path"]) for image_id in scores["image_id"].to_pylist()]
        ours = np.concatenate([opinion.scores for opinion in model.look(pictures)])
    np.testing.assert_allclose(ours, scores["score"].to_numpy(), rtol=1e-6, atol=1e-6)
    assert model.record.decision.threshold == run_thresholds(RunFolder(str(run_copy)), "youden", "object")[1]
    assert model.record.decision.carried is None


def test_what_is_expected_of_a_folds_model_is_what_that_fold_measured(run_copy, of_fold):
    record = raylab2f.load_model(of_fold[0]).record
    metrics = read_parquet(run_copy / "metrics.parquet")
    own = metrics.filter(pc.and_(pc.equal(metrics["fold"], 1), pc.equal(metrics["level"], "object"))).to_pylist()
    value = {row["metric"]: row["value"] for row in own if row["strategy"] == "youden"}
    found = {row["metric"]: row["mean"] for row in record.expected["estimates"] if row["strategy"] == "youden"}
    assert found["escape_rate"] == pytest.approx(value["escape_rate"])
    assert found["overkill_rate"] == pytest.approx(value["overkill_rate"])


def test_a_refit_trains_on_all_good_parts_and_nothing_else(run_copy, refitted):
    split = read_parquet(run_copy / "refit" / "split.parquet")
    manifest = read_parquet(run_copy / "manifest.parquet")
    label = dict(zip(manifest["image_id"].to_pylist(), manifest["label"].to_pylist(), strict=True))
    partition = dict(zip(split["image_id"].to_pylist(), split["partition"].to_pylist(), strict=True))
    assert {image_id for image_id, part in partition.items() if part == "train"} == {
        i for i, y in label.items() if not y
    }
    assert {label[image_id] for image_id, part in partition.items() if part == "threshold"} == {1}


def test_a_refits_outcomes_are_those_of_the_run_and_its_card_says_so(run_copy, refitted, read_summary):
    record = raylab2f.load_model(refitted[0]).record
    summary = {(r["level"], r["strategy"], r["metric"]): r["mean"] for r in read_summary(run_copy)["estimates"]}
    for row in record.expected["estimates"]:
        assert row["mean"] == summary[row["level"], row["strategy"], row["metric"]]
    card = (refitted[0] / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "trained on all good parts" in card
    assert f"{record.decision.threshold:.6g}" in card
    assert "slip through" in refitted[1]
    # What no threshold decides is expected as well.
    assert "auroc" in {row["metric"] for row in record.expected["estimates"]}
    assert "| AUROC |" in card


def test_a_refit_is_trained_once(finalise, refitted):
    out, said = finalise("--refit", "--carry", "mean")
    assert "trained before" in said
    first, second = (raylab2f.load_model(place).record for place in (refitted[0], out))
    assert first.decision.threshold != second.decision.threshold
    assert first.members == second.members


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_carrying_ends_between_good_and_defective_scores(finalise, refitted, way, run_copy):
    thresholds = run_thresholds(RunFolder(str(run_copy)), "youden", "object").values()
    out, _ = finalise("--carry", way)
    carried = raylab2f.load_model(out).record.decision.threshold
    spread = max(thresholds) - min(thresholds) + 0.5 * abs(np.mean(list(thresholds)))
    assert min(thresholds) - spread <= carried <= max(thresholds) + spread


def test_an_ensemble_has_all_folds_detectors(finalise):
    model = raylab2f.load_model(finalise("--ensemble")[0])
    assert len(model.detectors) == 3
    assert model.record.origin["folds"] == [0, 1, 2]


def test_predict_decides_the_parts_of_a_manifest(of_fold, pictures, tmp_path):
    process = program("predict", of_fold[0], pictures, "--out", tmp_path / "judged", "--overlays")
    assert process.returncode == 0, process.stderr
    with (tmp_path / "judged" / "parts.csv").open(newline="") as file:
        parts = list(csv.DictReader(file))
    assert len(parts) == 24
    assert {part["pictures"] for part in parts} == {"2"}
    threshold = raylab2f.load_model(of_fold[0]).record.decision.threshold
    for part in parts:
        assert part["verdict"] == ("reject" if float(part["score"]) >= threshold else "accept")
        assert float(part["margin"]) == pytest.approx(float(part["score"]) - threshold)
    assert len(list((tmp_path / "judged" / "overlays").iterdir())) == 48
    assert program("predict", of_fold[0], pictures, "--fail-on-reject").returncode == 5


def test_a_cluster_gives_the_same_rows(of_fold, pictures, tmp_path, shared_ray):
    tables = []
    for place in ([], ["--address", "auto"]):
        out = tmp_path / f"judged{len(place)}"
        process = program("predict", of_fold[0], pictures, "--out", out, "--format", "parquet", *place)
        assert process.returncode == 0, process.stderr
        tables.append(read_parquet(out / "pictures.parquet").sort_by("image_id"))
    assert (
        tables[0]
        .drop_columns(["score", "part_score", "margin", "strangeness"])
        .equals(tables[1].drop_columns(["score", "part_score", "margin", "strangeness"]))
    )
    np.testing.assert_allclose(tables[0]["score"], tables[1]["score"], rtol=1e-6)


def test_a_models_folder_stands_alone(of_fold, tmp_path):
    away = shutil.copytree(of_fold[0], tmp_path / "away")
    record = json.loads((away / "model.json").read_text())
    assert "/" not in record["dataset"]["name"]
    assert raylab2f.load_model(away).record.name == record["name"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--from-fold", 7], "choose one of 0, 1, 2"),
        (["--from-fold", 1, "--ensemble"], "--from-fold and --ensemble"),
        (["--from-fold", 1, "--carry", "mean"], "--carry mean"),
        (["--threshold", "mcc"], "choose one of youden"),
    ],
)
def test_mistakes_are_told_in_one_sentence(run_copy, tmp_path, options, says):
    process = program("finalise", run_copy, "--out", tmp_path / "new", *options)
    assert process.returncode == 2
    assert says in process.stderr
    assert not (tmp_path / "new").exists() or not list((tmp_path / "new").glob("model.json"))


def test_what_a_refit_cannot_have_is_said_before_it_is_trained(finished_run, tmp_path, shared_ray, monkeypatch):
    run = shutil.copytree(finished_run[0], tmp_path / "run")
    process = program("finalise", run, "--out", tmp_path / "new", "--threshold", "mcc")
    assert (process.returncode, "choose one of youden" in process.stderr) == (2, True)
    monkeypatch.setattr("raylab2f.evaluation.decisions.carried._FEWEST", 1000)
    process = program("finalise", run, "--out", tmp_path / "new")
    assert (process.returncode, "--carry anchored needs 1000" in process.stderr) == (2, True), process.stderr
    assert not (run / "refit").exists()


@pytest.mark.parametrize("way", ["--refit", "--ensemble"])
def test_figures_of_folds_that_are_gone_are_no_evidence(finished_run, tmp_path, way):
    run = shutil.copytree(finished_run[0], tmp_path / "run")
    (run / "folds" / "1" / "model.safetensors").unlink()
    process = program("finalise", run, "--out", tmp_path / "new", way)
    assert process.returncode == 2
    assert "its figures are of 3 folds, but it holds 2;" in process.stderr
    assert not (tmp_path / "new").exists()


def test_a_folder_with_other_files_is_left_alone(run_copy, tmp_path, of_fold):
    (tmp_path / "thesis.txt").write_text("mine")
    for out in (tmp_path, of_fold[0]):
        process = program("finalise", run_copy, "--out", out, "--from-fold", 0)
        assert process.returncode == 2
        assert "not empty" in process.stderr
