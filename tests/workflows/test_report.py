"""The page of a run: what stands in it, that nothing in it can run or load, and what the terminal says beside it."""

import base64
import csv
import hashlib
import json
import shutil

import pytest
from in_process import raylab2f
from pages import HOSTILE, Page, hostile_content
from rich.console import Console

from raylab2f import evaluate
from raylab2f.reporting import Display
from raylab2f.reporting.page import render_html, render_markdown
from raylab2f.workflows.report.content import report_content


@pytest.fixture(scope="module")
def content(finished_run, cache):
    return report_content([finished_run[0]], cache=str(cache), display=Display(Console(quiet=True)))


def test_every_run_ends_with_a_page_and_its_markdown(finished_run):
    folder, process = finished_run
    assert f"page: {folder / 'report.html'}" in process.stdout
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    said = " ".join(" ".join(page.texts).split())
    for heading in ("Key figures", "What weakens it", "Thresholds", "Which defects are found", "Folds", "Method"):
        assert heading in said
        if heading != "Thresholds":
            assert f"### {heading}" in (folder / "report.md").read_text(encoding="utf-8") or heading == "Folds"
    assert "No limits were set" in said
    assert (folder / "report.html").stat().st_size < 15e6


def test_a_page_loads_nothing_and_runs_only_what_its_policy_names(content):
    page = Page(render_html(content))
    assert content["runs"][0]["cards"]["wrong"] == {"escapes": 0, "overkills": 0} or page.links
    assert all(link.startswith("data:image/") for link in page.links)
    assert not page.handlers
    assert "default-src 'none'" in page.policy
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts]
    assert all(f"'sha256-{digest}'" in page.policy for digest in digests)
    assert "unsafe-inline" not in page.policy.partition("style-src")[0]


def test_nothing_from_names_labels_or_tables_can_run(content):
    honest, hostile = Page(render_html(content)), Page(render_html(hostile_content(content)))
    assert hostile.scripts == honest.scripts
    assert hostile.tags == honest.tags
    assert not hostile.handlers
    assert all(link.startswith("data:image/") for link in hostile.links)
    assert json.loads("".join(hostile.data))[0]["name"] == HOSTILE
    markdown = render_markdown(hostile_content(content))
    assert "<script" not in markdown.replace("\\<script", "")
    assert "[x](" not in markdown.replace("\\[x\\](", "")


def test_the_slider_shows_what_evaluate_gives_for_that_threshold(content, finished_run):
    run = content["runs"][0]
    point = run["thresholds"]["points"][len(run["thresholds"]["points"]) // 3]
    found = evaluate(str(finished_run[0]), threshold=f"fixed:{point['threshold']!r}", replicates=200).summary
    for metric in ("escape_rate", "overkill_rate", "expected_cost"):
        row = found.find(metric, level=run["level"])
        assert (row.mean, row.interval.low, row.interval.high) == pytest.approx(
            tuple(point[metric][name] for name in ("mean", "low", "high")), nan_ok=True
        )


def test_two_thresholds_show_what_evaluate_gives_for_that_pair(content, finished_run):
    run = content["runs"][0]
    points, pairs = run["thresholds"]["points"], run["thresholds"]["pairs"]
    low, high = len(points) // 4, len(points) // 2
    name = f"fixed-pair:{points[low]['threshold']!r},{points[high]['threshold']!r}"
    found = evaluate(str(finished_run[0]), threshold=name, replicates=200).summary
    assert set(pairs) == {"review_rate", "defective_review_rate", "good_review_rate", "expected_cost"}
    for metric, rows in pairs.items():
        row = found.find(metric, level=run["level"])
        expected = (row.mean, row.interval.low, row.interval.high)
        assert rows[low][high - low] == pytest.approx(expected, rel=1e-4), metric
    # What is accepted and rejected without a person is told by the two thresholds alone.
    for metric, place in (("escape_rate", low), ("overkill_rate", high)):
        row = found.find(metric, level=run["level"])
        assert (row.mean, row.interval.low, row.interval.high) == pytest.approx(
            tuple(points[place][metric][name] for name in ("mean", "low", "high"))
        )
    assert [len(row) for row in pairs["review_rate"]] == list(range(len(points), 0, -1))


def test_cards_show_the_parts_that_were_judged_wrongly(content, finished_run):
    cards = content["runs"][0]["cards"]
    for kind, label in (("escapes", 1), ("overkills", 0)):
        for card in cards[kind]:
            assert card["label"] == label
            assert all(view["picture"].startswith("data:image/webp") for view in card["views"])
            masked = [view for view in card["views"] if label and "23" not in card["object_id"]]
            assert all(view["truth"] for view in masked)
    assert cards["note"] is None


def test_pictures_that_do_not_fit_are_left_out_and_that_is_said(finished_run, cache, monkeypatch):
    monkeypatch.setattr("raylab2f.workflows.report.content._PICTURE_BYTES", 3000)
    found = report_content([finished_run[0]], cache=str(cache), display=Display(Console(quiet=True)))
    cards = found["runs"][0]["cards"]
    if cards["escapes"] or cards["overkills"]:
        assert "are left out" in cards["note"]
        assert "are left out" in render_html(found)


def test_folds_that_failed_are_told(finished_run, cache, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished_run[0], folder)
    (folder / "folds" / "1" / "fold.json").unlink()
    (folder / "folds" / "1" / "error.json").write_text(json.dumps({"message": "the disk <was> full"}))
    process = raylab2f("report", folder, "--cache", cache)
    assert process.returncode == 0, process.stderr
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert any("the disk <was> full" in text for text in page.texts)
    assert "the disk \\<was\\> full" in (folder / "report.md").read_text(encoding="utf-8")


def test_a_page_without_the_pictures_says_so(finished_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished_run[0], folder)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record))
    process = raylab2f("show", folder, "--json")
    assert json.loads(process.stdout)["runs"][0]["page"] == "report.html"


def test_show_says_what_the_run_said_on_one_screen(finished_run):
    folder, process = finished_run
    shown = raylab2f("show", folder)
    assert shown.returncode == 0
    lines = shown.stdout.splitlines()
    assert len(lines) < 40
    assert shown.stdout in process.stdout
    assert any(line.startswith("Of 1,000 defective parts") for line in lines)
    assert len(raylab2f("show", folder, "--quiet").stdout.splitlines()) == 3
    assert "threshold youden, part by part" in raylab2f("show", folder, "--verbose").stdout or "diagnosis" in (
        raylab2f("show", folder, "--verbose").stdout
    )


def test_json_holds_everything(finished_run, read_summary):
    found = json.loads(raylab2f("show", finished_run[0], "--json").stdout)["runs"]
    assert [run["summary"] for run in found] == [read_summary(finished_run[0])]
    assert found[0]["acceptance"] is None
    assert {finding["name"] for finding in found[0]["findings"]} >= {"leakage", "threshold"}


def test_several_runs_are_compared_on_one_page(finished_run, cache, tmp_path):
    process = raylab2f("report", finished_run[0], finished_run[0], "--cache", cache, "--out", tmp_path)
    assert process.returncode == 2
    assert "given twice" in process.stderr
    other = tmp_path / "other"
    shutil.copytree(finished_run[0], other)
    process = raylab2f("report", finished_run[0], other, "--cache", cache, "--out", tmp_path / "page")
    assert process.returncode == 0, process.stderr
    text = (tmp_path / "page" / "report.md").read_text(encoding="utf-8")
    assert "## Comparison" in text
    assert "0.000 (" in text


def test_figures_for_a_paper(finished_run, tmp_path):
    process = raylab2f("figures", finished_run[0], "--out", tmp_path)
    assert process.returncode == 0, process.stderr
    names = {path.name for path in tmp_path.iterdir()}
    assert {"roc.svg", "roc.pdf", "scores.svg", "figures.csv", "figures.tex", "folds.csv"} <= names
    assert (tmp_path / "roc.pdf").read_bytes().startswith(b"%PDF")
    with (tmp_path / "folds.csv").open(encoding="utf-8") as file:
        assert [row["fold"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    assert r"escape\_rate" in (tmp_path / "figures.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["report", "nowhere"], "nowhere holds no run"),
        (["show", "nowhere"], "nowhere holds no run"),
        (["figures", "nowhere", "--out", "figures"], "nowhere holds no run"),
        (["report", "one", "other"], "--out: a page of several runs belongs to none of them"),
        (["show", "nowhere", "--quiet", "--json"], "choose one of them"),
        (["report", "nowhere", "--max-escape", "2"], "can never be shown"),
    ],
)
def test_mistakes_are_told_in_a_sentence(options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    process = raylab2f(*options)
    assert process.returncode == 2
    assert said in " ".join(process.stderr.split())
    assert "Traceback" not in process.stderr
