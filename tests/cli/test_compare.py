"""`raylab2f compare` on run folders."""

import json

import pytest
import typer
from typer.testing import CliRunner

from raylab2f.cli.compare import compare_runs
from raylab2f.errors import UserError

app = typer.Typer()
app.command()(compare_runs)


def invoke(*options):
    return CliRunner().invoke(app, [*map(str, options), "--replicates", "200"], env={"COLUMNS": "200"})


def refusal(*options):
    result = invoke(*options)
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


@pytest.fixture(scope="module")
def runs(write_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [
        write_run(folder / name, separation=separation, seed=seed)
        for seed, (name, separation) in enumerate({"weak": 0.5, "strong": 3.0, "middle": 1.5}.items())
    ]


def test_tables_for_every_pair(runs):
    result = invoke(*runs)
    assert result.exit_code == 0, result.output
    for pair in ("A = weak, B = strong", "A = weak, B = middle", "A = strong, B = middle"):
        assert pair in result.output
    assert "12 comparisons" in result.output


def test_json_on_standard_output_and_in_a_file(runs, tmp_path):
    result = invoke(*runs[:2], "--metric", "auroc", "--level", "both", "--json", "--out", tmp_path / "comparison.json")
    values = json.loads(result.output)
    assert values == json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))
    assert values["runs"] == ["weak", "strong"]
    assert [row["level"] for row in values["differences"]] == ["image", "object"]
    assert values["differences"][1]["difference"] < 0
    assert values["differences"][1]["second_better"] > 0.9


def test_another_plan_is_refused_by_its_first_fold(runs, write_run, tmp_path):
    other = write_run(tmp_path / "other", plan_seed=5)
    sentence = refusal(runs[0], other)
    assert "fold 0" in sentence
    assert "seed" in sentence


def test_other_training_pictures_are_another_plan(runs, write_run, tmp_path):
    assert "fold 0" in refusal(runs[0], write_run(tmp_path / "half", train_fraction=0.5))


def test_a_missing_fold_is_named(runs, write_run, tmp_path):
    sentence = refusal(runs[0], write_run(tmp_path / "short", folds=3))
    assert "fold 3 is missing" in sentence
    assert "short" in sentence


def test_an_unfinished_fold_is_named(runs, write_run, tmp_path):
    unfinished = write_run(tmp_path / "unfinished")
    (unfinished / "folds" / "2" / "scores.parquet").unlink()
    sentence = refusal(runs[0], unfinished)
    assert "Fold 2" in sentence
    assert "--resume" in sentence


def test_runs_evaluated_differently_need_a_decision(runs, write_run, tmp_path):
    cost = write_run(tmp_path / "cost", evaluation={"strategies": ["cost"]})
    assert "--threshold" in refusal(runs[0], cost)
    result = invoke(runs[0], cost, "--threshold", "mcc", "--metric", "recall", "--json")
    assert [row["strategy"] for row in json.loads(result.output)["differences"]] == ["mcc"]


def test_settings_of_the_runs_are_taken_over(write_run, tmp_path):
    evaluation = {"strategies": ["target-recall:0.9"], "confidence": 0.8, "object_score": "mean"}
    runs = [write_run(tmp_path / name, evaluation=evaluation, seed=i) for i, name in enumerate("ab")]
    values = json.loads(invoke(*runs, "--json").output)
    assert values["settings"]["strategies"] == ["target-recall:0.9"]
    assert (values["settings"]["confidence"], values["settings"]["object_score"]) == (0.8, "mean")


def test_folders_of_the_same_name_are_told_apart(write_run, tmp_path):
    runs = [write_run(tmp_path / name / "run", seed=i) for i, name in enumerate("ab")]
    names = json.loads(invoke(*runs, "--json").output)["runs"]
    assert [name.endswith(f"{letter}/run") for name, letter in zip(names, "ab", strict=True)] == [True, True]


def test_what_is_no_pair_of_runs(runs, tmp_path):
    assert "two runs" in refusal(runs[0])
    assert "twice" in refusal(runs[0], runs[0])
    assert "holds no run" in refusal(runs[0], tmp_path)
