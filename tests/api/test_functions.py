"""What `import raylab2f` offers means the same as the commands do."""

import doctest
import subprocess
import sys
from html.parser import HTMLParser
from inspect import signature
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import raylab2f
from raylab2f.cli.compare import compare_runs
from raylab2f.cli.diagnose import diagnose
from raylab2f.cli.evaluate import evaluate_scores
from raylab2f.cli.export import export
from raylab2f.cli.finalise import finalise
from raylab2f.cli.monitor import monitor
from raylab2f.cli.plan_samples import plan_samples
from raylab2f.cli.pod import pod
from raylab2f.cli.predict import predict
from raylab2f.cli.report import report
from raylab2f.cli.run_cv import run_cv
from raylab2f.errors import UserError
from raylab2f.options.declaration import declared
from raylab2f.options.monitoring import Auditing

#: Each function, its command, and what only the command has: how results are printed and written.
PAIRS = [
    (raylab2f.cross_validate, run_cv, {"save_config", "verbose", "quiet", "as_json"}),
    (raylab2f.report, report, set()),
    (raylab2f.finalise, finalise, set()),
    (raylab2f.export, export, set()),
    (raylab2f.predict, predict, {"watch", "fail_on_reject"}),
    (raylab2f.monitor, monitor, {*declared(Auditing), "fail_on_alarm", "as_json"}),
    (raylab2f.pod, pod, {"scores", "out", "as_json"}),
    (raylab2f.evaluate, evaluate_scores, {"scores", "out", "as_json"}),
    (raylab2f.diagnose, diagnose, {"as_json"}),
    (raylab2f.compare, compare_runs, {"out", "as_json"}),
    (raylab2f.plan_samples, plan_samples, {"as_json"}),
]


@pytest.mark.parametrize(("function", "command", "apart"), PAIRS, ids=lambda part: getattr(part, "__name__", ""))
def test_functions_have_the_parameters_and_defaults_of_their_commands(function, command, apart):
    ours, theirs = declared(function), declared(command)
    assert set(ours) == set(theirs) - apart
    for name, part in ours.items():
        assert (part.default, part.annotation, part.option.minimum) == (
            theirs[name].default, theirs[name].annotation, theirs[name].option.minimum,
        )  # fmt: skip
        assert signature(function).parameters[name].default == part.default


@pytest.fixture(scope="module")
def scores():
    """40 good and 24 defective parts with two pictures each, as columns."""
    part = np.repeat(np.arange(64), 2)
    label = (part < 24).astype(int)
    score = np.random.default_rng(3).normal(2.0 * label)
    names = [f"{number}/{view}.png" for number, view in zip(part, [0, 1] * 64, strict=True)]
    return {"image_id": names, "object_id": part.astype(str), "label": label, "score": score}


def judged(scores, **options):
    return raylab2f.evaluate(scores, folds=3, replicates=100, **options)


def test_scores_come_as_whatever_python_has(scores, tmp_path):
    expected = judged(scores).estimates
    frame = pd.DataFrame(scores)
    frame.to_csv(tmp_path / "scores.csv", index=False)
    pq.write_table(pa.table(scores), tmp_path / "scores.parquet")
    for given in (
        pa.table(scores),
        frame,
        frame[frame["score"] > -100].set_index(np.arange(128)[::-1]),
        {name: list(column) for name, column in scores.items()},
        tmp_path / "scores.csv",
        str(tmp_path / "scores.parquet"),
    ):
        assert judged(given).estimates.equals(expected)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (5, "int is no table"),
        ({"image_id": ["a"], "label": [0, 1], "score": [1.0]}, "make no table"),
        ({"image_id": ["a", "b"], "label": [0, 1]}, "score"),
        ("absent.csv", "absent.csv"),
        ("s3://key:secret@bucket/scores.csv", "credentials"),
    ],
)
def test_what_is_no_table_of_scores(given, sentence):
    with pytest.raises(UserError, match=sentence):
        raylab2f.evaluate(given)


def test_mistakes_in_options_are_sentences(scores):
    for options, sentence in (
        ({"folds": 0}, "at least 1"),
        ({"threshold": "guess"}, "guess"),
        ({"confidence": 2}, "confidence"),
        ({"mute": "RL999"}, "RL999"),
    ):
        with pytest.raises(UserError, match=sentence):
            raylab2f.evaluate(scores, **options)


def test_an_evaluation_is_shown_and_goes_to_pandas(scores):
    without_objects = {name: column for name, column in scores.items() if name != "object_id"}
    result = judged(without_objects, threshold="cost", mute="rl302")
    frame = result.to_pandas()
    assert list(frame.columns) == result.estimates.column_names
    assert set(frame["strategy"]) == {"any", "cost"}
    row = frame[(frame["metric"] == "auroc") & (frame["level"] == "image")].iloc[0]
    assert row["low"] < row["mean"] < row["high"]
    assert row["mean"] == result.summary.find("auroc", level="image").mean
    assert set(result.metrics["fold"].to_pylist()) == {0, 1, 2}
    page = result._repr_html_()
    assert_well_formed(page)
    assert "RL201" in page
    assert "auroc" in page


def test_muted_warnings_are_kept_apart(scores):
    without_objects = {name: column for name, column in scores.items() if name != "object_id"}
    loud, silent = judged(without_objects), judged(without_objects, mute=["RL201"])
    assert "RL201" in {warning.code for warning in loud.warnings}
    assert [warning.code for warning in silent.muted] == ["RL201"]
    assert {w.code for w in loud.warnings} == {w.code for w in silent.warnings} | {"RL201"}
    assert silent.estimates.equals(loud.estimates)


def test_names_from_elsewhere_are_text_in_a_notebook(tmp_path, scores):
    path = tmp_path / "<script>alert(1)<script>.csv"
    pd.DataFrame(scores).to_csv(path, index=False)
    page = judged(path)._repr_html_()
    assert_well_formed(page)
    assert "<script>" not in page


def test_runs_are_compared(write_run, tmp_path):
    runs = [write_run(tmp_path / name, separation=s, seed=i) for i, name, s in ((0, "weak", 0.5), (1, "strong", 3))]
    result = raylab2f.compare(runs, metric="auroc", replicates=200)
    assert result.to_pandas()["difference"].iloc[0] < 0
    assert result.differences["first"].to_pylist() == ["weak"]
    assert result.comparison.settings["replicates"] == 200
    assert_well_formed(result._repr_html_())
    with pytest.raises(UserError, match="two runs"):
        raylab2f.compare(runs[0])


def test_samples_are_planned(write_run, tmp_path):
    runs = [write_run(tmp_path / str(f), separation=1.0, train_fraction=f) for f in (0.5, 1.0)]
    plan = raylab2f.plan_samples(half_width=0.1, recall=0.9, run=runs[1], curve=runs, alpha=0.2)
    assert plan.to_pandas()["pictures"].tolist() == [2, 2]
    assert plan.guarantee["useful"] > 0
    assert set(plan.learning_curve["fraction"].to_pylist()) == {0.5, 1.0}
    assert_well_formed(plan._repr_html_())
    assert_well_formed(raylab2f.plan_samples(recall=0.9, alpha=0.1)._repr_html_())


def test_a_cross_validation_says_what_is_wrong_before_it_trains(tmp_path):
    for options, sentence in (
        ({"resume": True}, "--resume needs --out"),
        ({"dry_run": True}, "dry_run"),
        ({"seed": [1, 1]}, "given twice"),
        ({"detector": "other"}, "no such detector"),
        ({"config": tmp_path / "absent.yaml"}, "no such file"),
        ({"scheme": "random"}, "one of balanced, kfold"),
    ):
        with pytest.raises(UserError, match=sentence):
            raylab2f.cross_validate(**options)


def test_a_run_that_is_not_there_is_not_diagnosed(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        raylab2f.diagnose(tmp_path, stored_only=True)
    with pytest.raises(UserError, match="--only dust"):
        raylab2f.diagnose(tmp_path, only="dust")
    with pytest.raises(UserError, match="--expect rotation"):
        raylab2f.diagnose(tmp_path, expect="rotation")


@pytest.mark.parametrize("name", ["raylab2f", raylab2f.evaluate.__module__, raylab2f.plan_samples.__module__])
def test_examples_in_docstrings_hold(name):
    outcome = doctest.testmod(sys.modules[name])
    assert outcome.attempted
    assert not outcome.failed


def test_names_are_listed_and_others_are_refused():
    assert {"evaluate", "compare", "cross_validate", "diagnose", "plan_samples"} <= set(dir(raylab2f))
    with pytest.raises(AttributeError, match="nonsense"):
        _ = raylab2f.nonsense


def test_the_readme_example_runs_as_written(tmp_path):
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## In Python") :]
    script = section.split("```python\n")[1].split("```")[0]
    assert len(script.splitlines()) <= 12
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "auroc" in done.stdout


class _Nesting(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def assert_well_formed(page):
    parser = _Nesting()
    parser.feed(page)
    assert not parser.open
    assert page.startswith("<")
