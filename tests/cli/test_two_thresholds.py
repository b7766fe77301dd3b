"""Strategies of two thresholds through the commands: tables, files, acceptance, and one sentence for every mistake."""

import json
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from in_process import raylab2f

from raylab2f.cli.app import main
from raylab2f.options.evaluation import AsEvaluated, Evaluation

TWO_SIDED = "two-sided:escape=0.05,overkill=0.05"


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """200 good and 100 defective parts whose scores overlap."""
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    rng = np.random.default_rng(3)
    labels = [int(part < 100) for part in range(300)]
    lines = [f"{part}.png,{part},{label},{rng.normal(2.5 * label):.6f}" for part, label in enumerate(labels)]
    path.write_text("\n".join(["image_id,object_id,label,score", *lines]), encoding="utf-8")
    return path


def run(command, *options):
    return raylab2f(command, *options, "--replicates", 100)


def test_tables_show_reviews_where_there_are_any(scores, tmp_path):
    result = run("evaluate", scores, "--threshold", TWO_SIDED, "--threshold", "youden", "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    first, second = result.stdout.split("threshold youden")
    assert TWO_SIDED in first
    for metric in ("review_rate", "automatic_escape_rate", "expected_cost", "escape_rate"):
        assert metric in first
    assert "balanced_accuracy" not in first
    assert "balanced_accuracy" in second
    assert not {"review_rate", "expected_cost"} & set(second.split())
    metrics = pq.read_table(tmp_path / "metrics.parquet").to_pylist()
    pairs = {(row["low_threshold"], row["threshold"]) for row in metrics if row["strategy"] == TWO_SIDED}
    assert all(low <= high for low, high in pairs)


def test_costs_reach_the_strategy_and_the_summary(scores):
    found = []
    for review in (0.1, 5):
        costs = ("--cost-escape", 20, "--cost-overkill", 2, "--cost-review", review, "--prevalence", 0.05)
        values = json.loads(run("evaluate", scores, "--threshold", "review-cost", *costs, "--json").stdout)
        assert values["settings"]["cost_review"] == review
        found.append({row["metric"]: row["mean"] for row in values["estimates"] if row["level"] == "object"})
    cheap, dear = found
    assert cheap["review_rate"] > 0.05
    assert dear["review_rate"] == 0
    assert cheap["cost_at_prevalence"] < dear["cost_at_prevalence"]
    errors = 20 * 0.05 * cheap["escape_rate"] + 2 * 0.95 * cheap["overkill_rate"]
    expected = 1000 * (errors + 0.1 * cheap["review_rate_at_prevalence"])
    assert cheap["cost_at_prevalence"] == pytest.approx(expected)


def test_limits_on_reviews_are_judged(scores, tmp_path):
    how = (scores, "--strategy", TWO_SIDED, "--prevalence", 0.02, "--json")
    shown = run("accept", *how, "--max-review", 0.9, "--max-escape", 0.3)
    assert shown.returncode == 0, shown.stderr
    values = json.loads(shown.stdout)
    assert [row["metric"] for row in values["limits"]] == ["escape_rate", "review_rate_at_prevalence"]
    # Decisions of three kinds have no effectiveness and no kappa.
    assert [row["metric"] for row in values["agreement"]["rows"]] == ["escape_rate", "overkill_rate"]
    path = tmp_path / "limits.yaml"
    path.write_text("review_rate: 0.001\ngood_review_rate: 0.9\nautomatic_escape_rate: 0.5\n", encoding="utf-8")
    assert run("accept", *how, "--limits", path).returncode == 3
    [limit] = json.loads(run("accept", *how, "--limits", path).stdout)["limits"][1:2]
    path.write_text(f"good_review_rate: {limit['estimate'] * 1.02:.6f}\n", encoding="utf-8")
    [limit] = json.loads(run("accept", *how, "--limits", path).stdout)["limits"]
    assert limit["verdict"] == "not yet shown"
    assert limit["more"]["kind"] == "good"
    assert run("accept", *how[:-1], "--limits", path).returncode == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--threshold", "two-sided:escape=1.5"), "escape is a share from 0 up, below 1"),
        (("--threshold", "two-sided:overkill=-0.1"), "overkill is a share from 0 up, below 1"),
        (("--threshold", "review-cost:review=-1"), "review is a number above 0"),
        (("--threshold", "review-cost", "--cost-review", "-2"), "cost of a review is a number above 0"),
        (("--threshold", "review-cost", "--cost-review", "nan"), "--cost-review: nan does not fit"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "run-cv"])
def test_mistakes_are_one_sentence_and_code_2(scores, monkeypatch, capfd, tmp_path, command, options, words):
    monkeypatch.chdir(tmp_path)
    given = [str(scores)] if command == "evaluate" else ["--data", str(scores)]
    monkeypatch.setattr(sys, "argv", ["raylab2f", command, *given, *options])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capfd.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("error: ")
    assert words in said
    assert said.count("\n") == 1


def test_limits_on_reviews_that_cannot_be_judged_are_one_sentence(scores):
    for options, words in (
        (("--strategy", "youden"), "with the strategy 'youden' nothing is reviewed"),
        (("--strategy", TWO_SIDED), "limit review_rate_at_prevalence: the factory's share of defective parts"),
        (("--at", 1.0), "with one threshold (--at) nothing is reviewed; give both thresholds, --at LOW --at HIGH"),
        (("--at", 1.0, "--strategy", TWO_SIDED), f"--strategy {TWO_SIDED}: with --at nothing is chosen"),
        (("--at", 2.0, "--at", 1.0, "--prevalence", 0.1), "--at 2: the low threshold lies above the high one, 1"),
        (("--at", 0.5, "--at", 1.0, "--at", 2.0), "--at: a model has one threshold, or two"),
        (("--at", 0.5, "--at", "nan", "--prevalence", 0.1), "--at: nan does not fit"),
        (("--strategy", "review-cost", "--cost-review", 0), "cost of a review is a number above 0"),
    ):
        result = run("accept", scores, "--max-review", 0.2, *options)
        assert result.returncode == 2, result.stdout
        assert words in result.stderr
        assert result.stderr.strip().count("\n") == 0


def test_a_model_with_two_fixed_thresholds_is_judged_by_its_decisions(scores, tmp_path):
    path = tmp_path / "limits.yaml"
    path.write_text("review_rate_at_prevalence: 0.9\nescape_rate: 0.2\nautomatic_escape_rate: 0.5\n", encoding="utf-8")
    how = ("accept", scores, "--limits", path, "--prevalence", 0.02, "--at", 0.7, "--at", 1.9)
    said = run(*how)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "accepting below 0.7, rejecting from 1.9" in said.stdout
    values = json.loads(run(*how, "--json").stdout)
    rows = [line.split(",") for line in scores.read_text(encoding="utf-8").splitlines()[1:]]
    by_class = {label: np.array([float(score) for *_, one, score in rows if one == label]) for label in "01"}
    review = {label: ((score >= 0.7) & (score < 1.9)).mean() for label, score in by_class.items()}
    escape = (by_class["1"] < 0.7).mean()
    assert {row["metric"]: row["estimate"] for row in values["limits"]} == pytest.approx(
        {
            "review_rate_at_prevalence": 0.02 * review["1"] + 0.98 * review["0"],
            "escape_rate": escape,
            "automatic_escape_rate": escape / (1 - review["1"]),
        }
    )
    assert [row["metric"] for row in values["agreement"]["rows"]] == ["escape_rate", "overkill_rate"]


def test_limits_of_a_strategy_of_two_thresholds_want_both(scores, tmp_path):
    path = tmp_path / "limits.yaml"
    path.write_text(f"strategy: {TWO_SIDED}\nescape_rate: 0.2\n", encoding="utf-8")
    refused = run("accept", scores, "--limits", path, "--at", 1.0)
    assert refused.returncode == 2
    assert refused.stderr.strip().count("\n") == 0
    assert "has two thresholds; give both, --at LOW --at HIGH" in refused.stderr
    assert run("accept", scores, "--limits", path, "--at", 0.7, "--at", 1.0).returncode in (0, 3, 4)


def test_runs_are_compared_with_the_costs_that_they_were_judged_with(write_run, tmp_path):
    evaluation = {"strategies": ["review-cost"], "cost_review": 0.1}
    runs = [write_run(tmp_path / f"run {seed}", seed=seed, evaluation=evaluation) for seed in range(2)]
    values = json.loads(run("compare", *runs, "--json").stdout)
    assert values["settings"]["cost_review"] == 0.1
    assert {row["metric"] for row in values["differences"]} == {"recall", "specificity", "auroc", "review_rate"}
    other = write_run(tmp_path / "other", seed=2, evaluation=evaluation | {"cost_review": 0.2})
    refused = run("compare", runs[0], other)
    assert refused.returncode == 2
    assert "cost-review 0.1" in refused.stderr
    assert run("compare", runs[0], other, "--cost-review", 0.3).returncode == 0


def test_a_learning_curve_of_reviews(write_run, tmp_path):
    runs = [
        write_run(tmp_path / f"{part}", train_fraction=part, evaluation={"strategies": ["two-sided"]})
        for part in (0.5, 1.0)
    ]
    words = [word for folder in runs for word in ("--curve", folder)]
    points = json.loads(raylab2f("plan-samples", *words, "--json").stdout)["learning_curve"]
    assert {point["metric"] for point in points} == {"auroc", "review_rate"}


def test_runs_of_before_that_know_no_cost_of_a_review_go_on_as_they_were():
    assert "cost_review" not in Evaluation().rules()
    assert Evaluation(cost_review=0.5).rules()["cost_review"] == 0.5
    assert AsEvaluated(cost_review=0.5).given()["cost_review"] == 0.5
