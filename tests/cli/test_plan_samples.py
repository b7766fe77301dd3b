"""`raylab2f plan-samples`."""

import json

import pytest
import typer
from typer.testing import CliRunner

from raylab2f.cli.plan_samples import plan_samples
from raylab2f.errors import UserError
from raylab2f.evaluation.comparison.planning import estimate_clustering, objects_for_half_width, plan_guarantee
from raylab2f.evaluation.comparison.run_scores import read_run

app = typer.Typer()
app.command()(plan_samples)


def invoke(*options):
    return CliRunner().invoke(app, [*map(str, options)], env={"COLUMNS": "160"})


def values(*options):
    result = invoke(*options, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.output)


def refusal(*options):
    result = invoke(*options)
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def test_tables_say_how_many_parts():
    result = invoke("--half-width", 0.1, "--recall", 0.9)
    assert result.exit_code == 0, result.output
    assert f"{objects_for_half_width(0.9, 0.1)} defective" in result.output
    assert f"collect {2 * plan_guarantee(0.1, 0.05, 0.05).useful}" in invoke().output


def test_numbers_are_those_of_the_functions():
    found = values("--half-width", 0.06, "--method", "wilson", "--pictures", 4, "--icc", 0.4, "--alpha", 0.2)
    for row in found["half_width"]:
        assert row["objects"] == objects_for_half_width(0.95, 0.06, method="wilson")
        by_picture = objects_for_half_width(0.95, 0.06, method="wilson", pictures=4, correlation=0.4)
        assert row["objects_by_picture"] == by_picture < row["objects"]
        assert row["design_effect"] == pytest.approx(2.2)
    assert found["guarantee"]["useful"] == plan_guarantee(0.2, 0.05, 0.05).useful


def test_clusters_are_estimated_from_a_run(write_run, tmp_path):
    run = write_run(tmp_path / "run", separation=1.0)
    found = values("--run", run)
    estimated = estimate_clustering(read_run(run).scores)
    for row, anomalous in zip(found["half_width"], (True, False), strict=True):
        assert row["pictures"] == estimated[anomalous].pictures == 2
        assert row["correlation"] == estimated[anomalous].correlation
        assert 0 < row["correlation"] < 1
    assert values("--run", run, "--icc", 0.1)["half_width"][0]["correlation"] == 0.1


def test_where_good_pictures_train_a_third_of_the_parts_choose_thresholds(write_run, tmp_path):
    run = write_run(tmp_path / "run", separation=1.0)
    useful = plan_guarantee(0.1, 0.05, 0.05).useful
    assert f"on half of the parts, so collect {2 * useful}." in invoke("--run", run).output.replace("\n", " ")
    record = json.loads((run / "run.json").read_text("utf-8"))
    for trains, parts in (("good-objects", 2), ("good-pictures", 3)):
        record["dataset"] = {"train_on": {"train_on": trains, "reason": "few good objects"}}
        (run / "run.json").write_text(json.dumps(record), "utf-8")
        assert values("--run", run)["good_pictures_train"] is (parts == 3)
        assert f"of the parts, so collect {parts * useful}." in invoke("--run", run).output.replace("\n", " ")
    (run / "run.json").write_text(json.dumps(record | {"dataset": {"train_on": 3}}), "utf-8")
    assert "run.json' cannot be read" in refusal("--run", run)


def test_a_run_without_mistakes_says_nothing_about_clusters(write_run, tmp_path):
    assert "--icc" in refusal("--run", write_run(tmp_path / "perfect", separation=50.0))


def test_half_of_what_clusters_need_is_not_enough():
    assert "--icc" in refusal("--pictures", 4)


def test_the_learning_curve_is_ordered_by_fraction(write_run, tmp_path):
    runs = [
        write_run(tmp_path / f"run-{fraction}", separation=2 * fraction, train_fraction=fraction)
        for fraction in (1.0, 0.25, 0.5)
    ]
    options = [part for run in runs for part in ("--curve", run)]
    points = values(*options, "--metric", "auroc")["learning_curve"]
    assert [point["fraction"] for point in points] == [0.25, 0.5, 1.0]
    assert [point["pictures"] for point in points] == sorted(point["pictures"] for point in points)
    assert points[0]["mean"] < points[2]["mean"]
    assert all(point["interval"]["low"] <= point["mean"] <= point["interval"]["high"] for point in points)
    assert "Learning curve" in invoke(*options).output


def test_curves_that_are_none(write_run, tmp_path):
    runs = [write_run(tmp_path / name) for name in ("a", "b")]
    other = write_run(tmp_path / "c", train_fraction=0.5, plan_seed=3)
    assert "two runs" in refusal("--curve", runs[0])
    assert "same training fraction" in refusal("--curve", runs[0], "--curve", runs[1])
    assert "fold 0" in refusal("--curve", runs[0], "--curve", other)
    half = write_run(tmp_path / "d", train_fraction=0.5)
    assert "Unknown metric" in refusal("--curve", runs[0], "--curve", half, "--metric", "nonsense")


@pytest.mark.parametrize(
    ("first", "other", "said"),
    [
        ({"detector": "csflow"}, {"detector": "glass"}, "detector: csflow and glass"),
        ({"preset": "fast", "config": {"epochs": 5}}, {"preset": "paper", "config": {"epochs": 9}}, "fast and paper"),
        ({"config": {"epochs": 5, "lr": 1}}, {"config": {"epochs": 9, "lr": 2}}, "config, epochs: 5 and 9"),
        ({"preparation": {"angles": [0]}}, {"preparation": {"angles": [0, 90]}}, "preparation, angles"),
        ({"data": {"data": "here", "category": "a"}}, {"data": {"data": "there", "category": "b"}}, "data, category"),
        ({"merge_nominal_test": "yes"}, {"merge_nominal_test": "no"}, "merge_nominal_test: yes and no"),
    ],
)
def test_a_curve_joins_no_runs_that_differ_in_more_than_the_fraction(write_run, tmp_path, first, other, said):
    runs = [
        write_run(tmp_path / name, train_fraction=fraction, **settings)
        for name, fraction, settings in (("a", 0.5, first), ("b", 1.0, other))
    ]
    message = refusal("--curve", runs[0], "--curve", runs[1])
    assert "more than the training fraction" in message
    assert said in message


def test_runs_of_a_curve_that_were_evaluated_otherwise_are_named_with_what_helps(write_run, tmp_path):
    runs = [
        write_run(tmp_path / name, train_fraction=fraction, evaluation={"strategies": [strategy]})
        for name, fraction, strategy in (("a", 0.5, "youden"), ("b", 1.0, "cost"))
    ]
    message = refusal("--curve", runs[0], "--curve", runs[1])
    assert "was evaluated with threshold youden" in message
    # `plan-samples` has no such option; `run-cv` has.
    assert message.endswith("evaluate them alike first with run-cv --resume and the same --threshold.")


def test_a_curve_joins_runs_whose_pictures_were_moved(write_run, tmp_path):
    runs = [
        write_run(tmp_path / name, train_fraction=fraction, data={"data": name, "layout": "auto"}, epoch_scores=epochs)
        for name, fraction, epochs in (("a", 0.5, 0), ("b", 1.0, 4))
    ]
    assert len(values("--curve", runs[0], "--curve", runs[1])["learning_curve"]) == 4


def test_an_expectation_that_the_guarantee_cannot_keep():
    found = values("--recall", 0.9, "--alpha", 0.1)
    assert found["guarantee"] is None
    assert "raise alpha" in found["guarantee_out_of_reach"]
    # What can be planned is planned all the same.
    assert found["half_width"][0]["objects"] == objects_for_half_width(0.9, 0.05)
    assert "No guarantee can be planned" in invoke("--recall", 0.9, "--alpha", 0.1).output
