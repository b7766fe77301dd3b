"""`raylab2f evaluate` on tables from any tool."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from in_process import raylab2f

PROGRAM = Path(sys.executable).with_name("raylab2f")
evaluate = partial(raylab2f, "evaluate")


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """40 good and 24 defective parts with two pictures each, scored by one fixed model."""
    path = tmp_path_factory.mktemp("scores") / "my scores.csv"
    generator = np.random.default_rng(3)
    lines = ["image_id,object_id,label,score"]
    for part in range(64):
        label = int(part < 24)
        lines += [f"{part}/{view}.png,{part},{label},{generator.normal(2 * label):.6f}" for view in range(2)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_csv_written_by_hand_gives_a_table_and_files(scores, tmp_path):
    process = evaluate(scores, "--threshold", "youden", "--threshold", "cost", "--replicates", 200, "--out", tmp_path)
    assert process.returncode == 0, process.stderr
    assert "threshold youden" in process.stdout
    assert "threshold cost" in process.stdout
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["version"] == 2
    assert {e["strategy"] for e in summary["estimates"]} == {"any", "youden", "cost"}
    assert set(pq.read_table(tmp_path / "metrics.parquet")["fold"].to_pylist()) == set(range(10))


def test_json_on_standard_output_is_the_file(scores, tmp_path):
    process = evaluate(scores, "--replicates", 100, "--folds", 3, "--json", "--out", tmp_path)
    assert json.loads(process.stdout) == json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("image_id,label,score\na,0,nan\nb,1,2\n", "missing"),
        ("image_id,label,score\na,0,inf\nb,1,2\n", "infinite"),
        ("image_id,label\na,0\n", "score"),
        ("image_id,label,score\na,0,1\nb,0,2\n", "anomalous"),
        ("image_id,label,score\na,3,1\nb,0,2\n", "Labels"),
        ("", "empty"),
    ],
)
def test_a_table_that_cannot_be_judged_gets_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "scores.csv"
    path.write_text(content, encoding="utf-8")
    process = evaluate(path)
    assert process.returncode == 2
    assert sentence.lower() in process.stderr.lower()
    assert "Traceback" not in process.stderr


def test_an_absent_table_is_named(tmp_path):
    process = evaluate(tmp_path / "no such.csv")
    assert process.returncode == 2
    assert "no such.csv" in process.stderr.replace("\n", "")


def test_the_readme_example_runs_as_written(tmp_path):
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## Scores of any other detector") :]
    script, command = (part.split("```")[0] for part in (section.split("```python\n")[1], section.split("```\n")[2]))
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    name, *options = command.split()
    assert name == PROGRAM.name
    process = subprocess.run([PROGRAM, *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    summary = json.loads((tmp_path / "judged" / "summary.json").read_text(encoding="utf-8"))
    auroc = next(e["mean"] for e in summary["estimates"] if (e["level"], e["metric"]) == ("object", "auroc"))
    assert 0.7 < auroc < 1
    assert "target-recall:0.95" in process.stdout


def test_a_runs_scores_are_judged_with_the_options_given(write_run, tmp_path):
    run = write_run(tmp_path / "a run")
    process = evaluate(run, "--threshold", "target-recall:0.9", "--replicates", 100, "--json")
    assert process.returncode == 0, process.stderr
    summary = json.loads(process.stdout)
    assert summary["folds"] == {"planned": 4, "finished": 4}
    assert summary["dataset"]["name"] == "a run"
    assert {e["strategy"] for e in summary["estimates"]} == {"any", "target-recall:0.9"}


def test_a_folder_that_holds_no_run_is_named(tmp_path):
    process = evaluate(tmp_path)
    assert process.returncode == 2
    assert "holds no run" in process.stderr


def test_probabilities_are_written_and_their_reliability_is_told(scores, tmp_path):
    options = ("--replicates", 50, "--folds", 3, "--probabilities", "venn-abers", "--out", tmp_path)
    process = evaluate(scores, *options)
    assert process.returncode == 0, process.stderr
    assert "probabilities of being defective (venn-abers), as in the threshold partition" in process.stdout
    assert "reliability, object level" in process.stdout
    written = pq.read_table(tmp_path / "probabilities.parquet")
    assert written.column_names == ["fold", "level", "id", "label", "score", "probability", "low", "high"]
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert set(summary["reliability"]["levels"]) == {"image", "object"}
    process = evaluate(scores, "--probabilities", "platt")
    assert process.returncode == 2
    assert "choose from isotonic, venn-abers" in process.stderr
