"""`raylab2f monitor` on the command line: a line that goes on, one that changes, and an audit."""

import csv
import json
import re

import numpy as np
import pytest
from in_process import raylab2f
from small_models import write_small_model

from raylab2f.models.folder import read_evaluation


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_small_model(tmp_path_factory.mktemp("models") / "plates")


@pytest.fixture(scope="module")
def line(tmp_path_factory, model):
    """Two weeks of parts, drawn from the evaluation's; `changed` moves those of the second."""
    known = read_evaluation(model).to_pylist()
    good = [row for row in known if not row["label"]]
    made = {}
    for name, moved in (("same", 0.0), ("changed", 3.0)):
        generator = np.random.default_rng(0)
        spread = np.std([row["score"] for row in good])
        path = tmp_path_factory.mktemp("line") / f"{name}.csv"
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["image_id", "score", "verdict", "strangeness", "day"])
            for number in range(280):
                row, day = good[generator.integers(len(good))], number // 20
                score = row["score"] + 0.01 * spread * generator.normal() + moved * spread * (day >= 7)
                table.writerow([f"part {number}", score, row["verdict"], row["strangeness"], f"2026-05-{day + 1:02}"])
        made[name] = path
    return made


def test_a_line_that_goes_on_has_no_alarm(model, line):
    process = raylab2f("monitor", model, line["same"], "--prevalence", "0", "--fail-on-alarm")
    assert process.returncode == 0, process.stderr
    assert "alarm: score" not in process.stdout.replace("no alarm: score", "")


def test_a_line_that_changes_has_one_and_says_when(model, line, tmp_path):
    options = ["--prevalence", "0", "--out", tmp_path / "out", "--fail-on-alarm"]
    process = raylab2f("monitor", model, line["changed"], *options)
    assert process.returncode == 6, process.stderr
    assert re.search(r"alarm: score: .*2026-05-(0[89]|1[0-4])", process.stdout)
    found = json.loads((tmp_path / "out" / "monitor.json").read_text())
    assert found["alarmed"] is True
    page = (tmp_path / "out" / "monitor.html").read_text()
    assert page.index("Alarm: Scores") < page.index("Share accepted")
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)


def test_gauges_are_what_prometheus_reads(model, line, tmp_path):
    raylab2f("monitor", model, line["changed"], "--prevalence", "0", "--out", tmp_path)
    text = (tmp_path / "monitor.prom").read_text()
    sample = re.compile(r'^raylab2f_line_\w+\{model="plates",signal="\w+",condition=""\} (\+Inf|-Inf|-?[\d.e+-]+)$')
    lines = text.splitlines()
    assert all(line.startswith("# ") or sample.match(line) for line in lines)
    assert 'raylab2f_line_alarm{model="plates",signal="score",condition=""} 1' in lines


def test_a_line_may_be_compared_with_what_was_judged_before(model, line):
    process = raylab2f("monitor", model, line["changed"], "--reference", line["same"], "--json")
    assert json.loads(process.stdout)["alarmed"] is True


def test_an_audit_from_plan_to_bound(model, line, tmp_path):
    plan = tmp_path / "plan.csv"
    process = raylab2f("monitor", model, line["same"], "--audit", plan, "--limit", "0.05")
    assert process.returncode == 0, process.stderr
    with plan.open(newline="") as file:
        wanted = [row["object_id"] for row in csv.DictReader(file)]
    assert 20 < len(wanted) < 280
    answers = tmp_path / "answers.csv"
    answers.write_text("object_id,label\n" + "".join(f"{name},good\n" for name in wanted))
    bound = json.loads(raylab2f("monitor", model, "--audit", plan, "--answers", answers, "--json").stdout)
    assert bound["share"] <= 0.05
    assert (bound["unanswered"], bound["selected"]) == (0, len(wanted))
    answers.write_text("object_id,label\n" + "".join(f"{name},good\n" for name in wanted[5:]))
    worse = json.loads(raylab2f("monitor", model, "--audit", plan, "--answers", answers, "--json").stdout)
    assert worse["unanswered"] == 5
    assert worse["upper"] > bound["upper"]
    again = raylab2f("monitor", model, line["same"], "--audit", plan, "--limit", "0.05")
    assert again.returncode == 2
    assert "there already" in again.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "JUDGED"),
        (["{same}"], "--prevalence"),
        (["{same}", "--prevalence", "0", "--unit", "day"], "--unit day"),
        (["{same}", "--answers", "x.csv"], "--audit"),
        (["{same}", "--audit", "plan.csv"], "--limit"),
        (["{same}", "--audit", "plan.csv", "--limit", "2"], "limit is 2"),
        (["--audit", "nowhere.csv", "--answers", "nowhere.csv"], "nowhere.csv"),
        (["nowhere", "--prevalence", "0"], "nowhere"),
        (["{same}", "--audit", "plan.xlsx", "--limit", "0.05"], "--audit plan.xlsx: a plan is written as CSV"),
        (["{same}", "--audit", "s3://bucket/plan.csv", "--limit", "0.05"], "a path of this machine is needed"),
        (["{same}", "--prevalence", "0", "--out", "s3://bucket/out"], "a path of this machine is needed"),
        (["s3://bucket/judged", "--prevalence", "0"], "a path of this machine is needed"),
        (["{same}", "--prevalence", "0", "--alpha", "0"], "alpha"),
    ],
)
def test_mistakes_are_told_in_one_sentence(model, line, options, says):
    process = raylab2f("monitor", model, *(option.format(**line) for option in options))
    assert process.returncode == 2
    assert says in process.stderr
    assert "Traceback" not in process.stderr


def test_an_audit_of_no_model_is_told(line, tmp_path):
    process = raylab2f("monitor", tmp_path, line["same"], "--audit", tmp_path / "plan.csv", "--limit", "0.05")
    assert process.returncode == 2
    assert "holds no model" in process.stderr
    assert not (tmp_path / "plan.csv").exists()
