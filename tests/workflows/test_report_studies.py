"""Pages with a learning curve and with probability of detection by defect type."""

import json

import pytest
from in_process import raylab2f
from pages import HOSTILE, Page, hostile_content
from rich.console import Console
from studies import planted_detection, with_fewer_trained

from raylab2f.evaluation.comparison.learning_curve import curve_groups
from raylab2f.evaluation.comparison.run_scores import read_run
from raylab2f.reporting import Display
from raylab2f.reporting.page import render_html, render_markdown
from raylab2f.workflows.report.content import report_content
from raylab2f.workflows.report.learning import learning_curves
from raylab2f.workflows.report.operating import middle_pair

RULES = {"replicates": 100, "strategies": ["youden"]}


@pytest.fixture(scope="module")
def study(finished_run, cache, tmp_path_factory):
    """What a page of two runs shows, of which one trained on half as many parts; sizes are planted in the first."""
    folder = tmp_path_factory.mktemp("study")
    runs = [finished_run[0], with_fewer_trained(finished_run[0], folder / "half")]
    content = report_content(runs, cache=str(cache), display=Display(Console(quiet=True)))
    content["runs"][0]["pod"] = planted_detection(folder / "sized")
    return content


def _content(run, level="object", strategy="youden"):
    return {"name": run.name, "rules": RULES, "strategy": strategy, "level": level, "seed": 0}


def test_runs_that_differ_in_the_training_fraction_alone_are_on_one_curve(write_run, tmp_path):
    fractions = {"all": 1.0, "half": 0.5, "third": 0.34}
    runs = [read_run(write_run(tmp_path / name, train_fraction=f), name) for name, f in fractions.items()]
    found = learning_curves(runs, [_content(run) for run in runs])
    assert set(found) == set(fractions)
    rows = found["half"]["rows"]
    assert [row["run"] for row in rows[::3]] == ["third", "half", "all"]
    assert {row["metric"] for row in rows} == {"escape_rate", "overkill_rate", "auroc"}
    assert all(row["low"] <= row["mean"] <= row["high"] for row in rows)
    assert [row["pictures"] for row in rows] == sorted(row["pictures"] for row in rows)


def test_reviews_are_on_the_curve_where_there_are_any(write_run, tmp_path):
    evaluation = {"strategies": ["two-sided:0.1,0.1"]}
    runs = [
        read_run(write_run(tmp_path / str(fraction), train_fraction=fraction, evaluation=evaluation), str(fraction))
        for fraction in (0.5, 1.0)
    ]
    found = learning_curves(runs, [_content(run, strategy="two-sided:0.1,0.1") for run in runs])
    assert "review_rate" in {row["metric"] for row in found["1.0"]["rows"]}


def test_other_runs_are_on_none(write_run, tmp_path):
    kinds = {
        "one": {"detector": "glass"},
        "half": {"detector": "glass", "train_fraction": 0.5},
        "same half": {"detector": "glass", "train_fraction": 0.5},
        "other detector": {"detector": "csflow", "train_fraction": 0.25},
        "other plan": {"detector": "glass", "train_fraction": 0.3, "plan_seed": 1},
    }
    runs = [read_run(write_run(tmp_path / name, **kind), name) for name, kind in kinds.items()]
    assert [[run.name for run in group] for group in curve_groups(runs)] == [["one", "half"]]
    found = learning_curves(runs, [_content(run) for run in runs])
    assert set(found) == {"one", "half"}


def test_runs_that_were_evaluated_in_different_ways_say_why_there_is_no_curve(write_run, tmp_path):
    runs = [
        read_run(
            write_run(tmp_path / strategy, train_fraction=fraction, evaluation={"strategies": [strategy]}), strategy
        )
        for strategy, fraction in (("youden", 1.0), ("mcc", 0.5))
    ]
    curve = learning_curves(runs, [_content(run) for run in runs])["mcc"]
    assert curve["rows"] == []
    assert "was evaluated with threshold youden" in curve["reason"]


def test_a_page_of_one_run_says_nothing_of_learning(finished_run):
    folder = finished_run[0]
    for name in ("report.html", "report.md"):
        assert "Learning curve" not in (folder / name).read_text(encoding="utf-8")


def test_a_study_is_shown_in_every_run_and_its_figures_are_those_of_the_run(study):
    page, text = Page(render_html(study)), render_markdown(study)
    said = " ".join(" ".join(page.texts).split())
    assert said.count("Learning curve") == 2
    assert text.count("### Learning curve") == 2
    assert "differ in nothing but how many parts trained" in said
    assert "cannot be compared" not in said
    for run in study["runs"]:
        own = {row["metric"]: row for row in run["figures"]}
        rows = [row for row in run["learning_curve"]["rows"] if row["run"] == run["name"]]
        assert len(rows) == 3
        for row in rows:
            figure = own[row["metric"]]
            assert [row[name] for name in ("mean", "low", "high")] == pytest.approx(
                [figure[name] for name in ("mean", "low", "high")]
            )


def test_the_command_shows_a_study(finished_run, cache, tmp_path):
    half = with_fewer_trained(finished_run[0], tmp_path / "half")
    process = raylab2f("report", finished_run[0], half, "--cache", cache, "--out", tmp_path / "page")
    assert process.returncode == 0, process.stderr
    assert "| 0.5 | " in (tmp_path / "page" / "report.md").read_text(encoding="utf-8")


def test_every_type_has_its_curve_or_the_reason_why_not(study):
    rows = study["runs"][0]["pod"]["rows"]
    assert [row["defect_type"] for row in rows] == [None, "dent", "scratch", "stain"]
    assert [bool(row["points"]) for row in rows] == [True, True, True, False]
    page, text = " ".join(" ".join(Page(render_html(study)).texts).split()), render_markdown(study)
    for row in rows:
        for end in ("a90", "a90_95"):
            known, reason = row[end], row[f"why_no_{end}"]
            assert (known is None) == (reason is not None)
            if reason is not None:
                assert reason in page
                assert reason.split(",")[0] in text
        assert row["facts"] in row["sentence"]
    assert "a curve takes at least 10" in rows[-1]["sentence"]
    assert f"- stain: {rows[-1]['sentence']}" in text


def test_nothing_from_types_or_runs_can_run(study):
    honest, hostile = Page(render_html(study)), Page(render_html(hostile_content(study)))
    assert hostile.scripts == honest.scripts
    assert hostile.tags == honest.tags
    assert not hostile.handlers
    [first, _] = json.loads("".join(hostile.data))
    assert first["pod"]["rows"][1]["defect_type"] == HOSTILE
    assert first["learning_curve"]["rows"][0]["run"] == HOSTILE
    markdown = render_markdown(hostile_content(study))
    assert "<script" not in markdown.replace("\\<script", "")


def test_sliders_begin_where_the_folds_have_two_thresholds():
    assert middle_pair({0: 0.1, 1: 0.3, 2: 0.2}, {0: 0.9, 1: 0.5, 2: 0.8}) == [0.2, 0.8]
    assert middle_pair({}, {0: 0.9}) is None
