"""The paper's experiments as a user starts them, small; and how claims are held against figures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from raylab2f.diagnostics.resampling import Estimate
from raylab2f.workflows.experiments.common import claim_of, write_report

JOBS = Path(__file__).parents[3] / "jobs"


@pytest.fixture(scope="module")
def job(pictures, cache):
    """Run a job on the plates to its end; returns the finished process."""

    def run(name, *options, check=True):
        environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
        command = [sys.executable, JOBS / f"{name}.py", "--data", pictures, "--cache", cache, "--size", "64", *options]
        process = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=600, env=environment, check=False
        )
        if check:
            assert process.returncode == 0, process.stdout + process.stderr
        return process

    return run


@pytest.mark.parametrize(
    ("estimate", "verdict"),
    [
        (Estimate(0.2, 0.1, 0.3), "yes"),
        (Estimate(-0.2, -0.3, -0.1), "no"),
        (Estimate(0.2, -0.1, 0.5), "not shown"),
        (Estimate(0.2), "not shown"),
    ],
)
def test_a_claim_needs_more_than_chance(estimate, verdict):
    assert claim_of("A is better.", estimate, "A 0.9, B 0.7").reproduced == verdict


def test_reports_are_markdown_json_and_parquet(tmp_path):
    rows = [{"detector": "glass", "AUROC": 0.91234, "note": None}, {"detector": "csflow", "AUROC": 0.8, "note": "x"}]
    text = write_report(tmp_path, "trial", "Trial", {"Outcomes": rows}, [claim_of("A.", Estimate(1, 1, 1), "1")])
    assert (tmp_path / "trial.md").read_text(encoding="utf-8") == text
    assert "| glass | 0.912 |  |" in text
    assert "| A. | yes | 1 |" in text
    content = json.loads((tmp_path / "trial.json").read_text(encoding="utf-8"))
    assert content["tables"]["Outcomes"] == rows
    assert pq.read_table(tmp_path / "trial-outcomes.parquet").to_pylist() == rows


def test_a_report_without_claims_says_so(tmp_path):
    rows = [{"preparation": "as it is", "place_variance": 0.5}]
    text = write_report(tmp_path, "trial", "Trial", {"Preparations": rows}, [])
    assert text.endswith("what was seen here\n\nNothing to compare.\n")
    assert json.loads((tmp_path / "trial.json").read_text(encoding="utf-8"))["claims"] == []


@pytest.mark.slow
def test_rotation_reports_every_angle(job, tmp_path):
    job("rotation", "--detector", "csflow", "--size", "128", "--folds", "1", "--epochs", "1", "--out", tmp_path)
    rows = pq.read_table(tmp_path / "rotation-by-angle.parquet").to_pylist()
    assert [row["angle"] for row in rows] == ["0", "90", "180", "270"] * 2
    assert {row["trained on"] for row in rows} == {"plain", "turned"}
    claims = json.loads((tmp_path / "rotation.json").read_text(encoding="utf-8"))["claims"]
    assert {claim["reproduced"] for claim in claims} <= {"yes", "no", "not shown"}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"csflow-{trained}-{what}.png" for trained in ("plain", "turned") for what in ("roc", "maps")
    }


@pytest.mark.slow
def test_feature_variance_without_masks_says_so(job, tmp_path):
    process = job("feature_variance", "--out", tmp_path)
    assert "segment" in process.stdout
    rows = pq.read_table(tmp_path / "feature-variance-preparations.parquet").to_pylist()
    assert {row["preparation"] for row in rows} == {"as it is", "as it is, view a", "as it is, view b"}
    assert (tmp_path / "figures" / "variance.png").exists()


def test_mistakes_get_one_sentence_and_code_2(job, tmp_path):
    process = job("table1", "--preset", "papper", "--out", tmp_path, check=False)
    assert process.returncode == 2
    assert "--preset papper" in process.stderr
    assert "Traceback" not in process.stderr
