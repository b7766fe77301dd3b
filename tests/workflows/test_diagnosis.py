"""Planted pitfalls are found, each by its own diagnosis and by no other: rendered parts, a small detector, real Ray."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from raylab2f.cli import app
from raylab2f.cluster.pictures.rescore import AlteredPictures, rescore
from raylab2f.cluster.training.placement import FoldResources
from raylab2f.datasets.demo import DemoConfig, demo_dataset
from raylab2f.detectors.registry import config_to_dict, preset_config
from raylab2f.diagnostics.finding import CODES
from raylab2f.errors import UserError
from raylab2f.pitfalls import PITFALLS
from raylab2f.preparation import PreparationSettings
from raylab2f.reporting import Display
from raylab2f.runs.folder import DataSettings, RunFolder, RunSettings
from raylab2f.workflows.cross_validation import run_cross_validation
from raylab2f.workflows.diagnosis import CHEAP, DIAGNOSES, diagnose_run
from raylab2f.workflows.evidence import open_run

DEMO = DemoConfig(
    picture_size=96, nominal_objects=36, anomalous_objects=16, views=3, angle_range=(0, 30), defect_size=3.0
)
FOLDS = 3
# Variance of objects is no mistake of the evaluation and never fails, so only the clean run is asked for it.
PLANTED = tuple(name for name in DIAGNOSES if name != "variance")


# What is planted: in the settings of runs on the same parts, which one command makes, or in the parts.
SETTINGS = {
    "clean": {},
    "by-picture": {"split_by": "picture"},
    "turned": {"preparation": PreparationSettings(eval_angles=(0.0, 180.0))},
}
DEMOS = {
    "clutter": replace(DEMO, label_clutter=1.0),
    "exposure": replace(DEMO, exposure_shift_test=1.25, test_share=0.5),
}


@pytest.fixture(scope="module")
def small(shared_ray, tmp_path_factory):
    """small(name) -> folder of a finished run of a small GLASS."""
    cache, runs = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("runs")
    display = Display(Console(quiet=True))
    config = preset_config("glass", "fast")
    # Settings of its own: what is planted must be found, whatever the preset becomes.
    rates = {"adaptor_rate": 2e-4, "discriminator_rate": 4e-4, "feature_scaling": "none", "hypothesis": "spectrogram"}
    config = replace(config, size=(64, 64), schedule=replace(config.schedule, epochs=3), **rates)

    def run(name):
        if not (runs / name).exists():
            data = DataSettings(data=str(demo_dataset(DEMOS.get(name, DEMO), cache, workers=1)))
            evaluation = {"strategies": ["youden"], "replicates": 100}
            common = RunSettings(data, "glass", "fast", config_to_dict(config), folds=FOLDS, evaluation=evaluation)
            made = {name: {}} if name in DEMOS else SETTINGS
            planned = [(replace(common, **settings), runs / run) for run, settings in made.items()]
            # One process at a time, for each takes longer to start than to train its folds.
            resources = FoldResources(max_parallel=1)
            run_cross_validation(planned, cache=cache, display=display, resources=resources)
        return runs / name

    return run, cache, display


@pytest.fixture(scope="module")
def diagnosed(small):
    """diagnosed(name) -> verdict by diagnosis, the findings, and the run's folder."""
    run, cache, display = small
    done = {}

    def diagnose(name, only=PLANTED, *, stored_only=False):
        if (name, stored_only) not in done:
            folder = run(name)
            options = {"only": only, "pictures_per_fold": 12, "stored_only": stored_only}
            findings = diagnose_run(folder, cache=cache, display=display, **options)
            done[name, stored_only] = {finding.name: finding for finding in findings}, folder
        findings, folder = done[name, stored_only]
        return {name: finding.verdict for name, finding in findings.items()}, findings, folder

    return diagnose


def failed(verdicts):
    return {name for name, verdict in verdicts.items() if verdict == "fail"}


@pytest.mark.slow
def test_clean_data_fail_nothing(diagnosed):
    verdicts, findings, _ = diagnosed("clean", only=DIAGNOSES)
    assert failed(verdicts) == set(), [findings[name].why for name in failed(verdicts)]
    assert set(verdicts) == set(DIAGNOSES)
    assert verdicts["likelihood"] == "skip"


@pytest.mark.slow
def test_findings_and_figures_are_written(diagnosed):
    _, findings, folder = diagnosed("clean", only=DIAGNOSES)
    content = json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))
    assert [finding["name"] for finding in content["findings"]] == list(DIAGNOSES)
    for finding in content["findings"]:
        assert finding["why"]
        assert finding["code"] in PITFALLS
        assert finding["verdict"] == "skip" or finding["bound"]
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {f"{n}.png" for n in ("roc", "maps", "silhouette", "variance", "dose_response", "threshold")}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (folder / "figures").iterdir())
    responses = pq.read_table(folder / "diagnosis" / "invariance.parquet")
    assert responses.num_rows == findings["invariance"].evidence.num_rows > 20


@pytest.mark.slow
def test_diagnoses_can_be_made_view_by_view(diagnosed, small):
    chosen = ("silhouette", "threshold")
    _, _, folder = diagnosed("clean", only=DIAGNOSES)
    before = json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))["findings"]
    findings = diagnose_run(folder, cache=small[1], display=small[2], only=chosen, stored_only=True, by=("view",))
    named = {finding.name: finding for finding in findings}
    views = set(pq.read_table(folder / "manifest.parquet")["view"].to_pylist())
    assert set(named) == {*chosen, *(f"{name}[view={view}]" for name in chosen for view in views)}
    assert {finding.code for finding in findings} == {CODES[name] for name in chosen}
    kept = json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))["findings"]
    assert {finding["name"] for finding in kept} == set(named) | {finding["name"] for finding in before}
    for view in views:
        evidence = pq.read_table(folder / "diagnosis" / f"threshold[view={view}].parquet")
        assert evidence.num_rows


@pytest.mark.slow
def test_clutter_that_follows_the_label_is_a_background_shortcut(diagnosed):
    verdicts, findings, _ = diagnosed("clutter", stored_only=True)
    assert failed(verdicts) == {"background"}, [findings[name].why for name in failed(verdicts)]
    assert findings["background"].measure("background-auroc").estimate.value > 0.8


@pytest.mark.slow
def test_a_split_by_picture_is_leakage(diagnosed):
    verdicts, findings, _ = diagnosed("by-picture", stored_only=True)
    assert failed(verdicts) == {"leakage"}, [findings[name].why for name in failed(verdicts)]
    assert findings["leakage"].figure.name == "objects-in-two-partitions"


@pytest.mark.slow
def test_turned_evaluation_pictures_are_a_missing_invariance(diagnosed):
    verdicts, findings, _ = diagnosed("turned")
    assert failed(verdicts) == {"invariance"}, [findings[name].why for name in failed(verdicts)]
    assert findings["invariance"].measure("unseen-views").verdict == "fail"


@pytest.mark.slow
def test_another_exposure_of_the_test_pictures_is_a_shift(diagnosed):
    verdicts, findings, _ = diagnosed("exposure", stored_only=True)
    assert failed(verdicts) == {"shift"}, [findings[name].why for name in failed(verdicts)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pitfall"), [("clutter", "background"), ("by-picture", "leakage"), ("exposure", "shift")]
)
def test_altered_pictures_set_off_no_other_alarm(diagnosed, name, pitfall):
    verdicts, findings, _ = diagnosed(name)
    assert failed(verdicts) == {pitfall}, [findings[name].why for name in failed(verdicts)]


def test_pictures_as_they_are_get_their_scores_again(small):
    run, cache, display = small
    evidence = open_run(run("clean"), cache, display)
    rows = evidence.scores.filter(pc.equal(evidence.scores["fold"], 1)).sort_by("image_id")
    image_ids = tuple(rows["image_id"].to_pylist())
    folder = str(evidence.folder.fold(1).resolve())
    again = rescore(
        evidence.inputs.pictures_place, [AlteredPictures(1, folder, image_ids, "none")], seed=0, feature_dtype="float16"
    )
    assert again["image_id"].to_pylist() == list(image_ids)
    np.testing.assert_allclose(again["score"], rows["score"], rtol=1e-3)


def test_the_threshold_diagnosis_judges_the_runs_own_threshold(small, tmp_path):
    run, cache, display = small
    folder = shutil.copytree(run("clean"), tmp_path / "evaluated again")
    evaluation = {"strategies": ["cost"], "prevalence": 0.02, "cost_escape": 30.0, "replicates": 100}
    settings = replace(RunFolder(str(folder)).settings(), evaluation=evaluation)
    options = {"cache": cache, "display": display}
    run_cross_validation([(settings, folder)], resources=FoldResources(), resume=True, **options)
    [finding] = diagnose_run(folder, only=("threshold",), stored_only=True, **options)
    evidence = open_run(folder, cache, display)
    score = {(row["fold"], row["image_id"]): row["score"] for row in evidence.scores.to_pylist()}
    for row in finding.evidence.to_pylist():
        assert row["flagged"] == (score[row["fold"], row["image_id"]] >= evidence.thresholds[row["fold"]])
    assert "prevalence 0.02" in finding.measure("youden-from-cost").sentence


@pytest.mark.slow
def test_the_command_prints_json_and_keeps_earlier_findings(diagnosed, small):
    _, cache, _ = small
    _, _, folder = diagnosed("clean", only=DIAGNOSES)
    options = ["diagnose", str(folder), "--only", "shift", "--stored-only", "--json", "--cache", str(cache)]
    result = CliRunner().invoke(app.app, options, catch_exceptions=False)
    assert result.exit_code == 0
    assert set(DIAGNOSES) <= {finding["name"] for finding in json.loads(result.stdout)["findings"]}


@pytest.mark.slow
def test_failing_verdicts_are_no_failure_of_the_command(diagnosed, small):
    _, cache, _ = small
    _, _, folder = diagnosed("by-picture", stored_only=True)
    options = ["diagnose", str(folder), "--only", "leakage", "--stored-only", "--cache", str(cache)]
    result = CliRunner().invoke(app.app, options, catch_exceptions=False)
    assert result.exit_code == 0
    assert "fail" in result.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"only": ("backgrund",)}, "--only backgrund"),
        ({"expected": {"turning": 3.0}}, "--expect turning"),
    ],
)
def test_mistakes_are_named(small, options, sentence):
    run, cache, display = small
    with pytest.raises(UserError, match=sentence):
        diagnose_run(run("clean"), cache=cache, display=display, stored_only=True, **options)


def test_a_folder_without_a_run_is_named(small, tmp_path):
    _, cache, display = small
    with pytest.raises(UserError, match="no run"):
        diagnose_run(tmp_path, cache=cache, display=display, only=CHEAP, stored_only=True)
