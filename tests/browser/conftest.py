"""A browser, and the page of a run in which parts were judged wrongly."""

import shutil

import pytest
from rich.console import Console
from studies import planted_detection, with_fewer_trained

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None, "No Chromium is installed; apt-get install chromium, or make test-browser as root."
    with sync_playwright() as playwright:
        # Without a user of its own, as in a container, the sandbox cannot start.
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def page_file(finished_run, run, tmp_path_factory):
    """`report.html` of a run that rejects far too many parts; its limits were set before."""
    folder = tmp_path_factory.mktemp("judged") / "run"
    shutil.copytree(finished_run[0], folder)
    metrics = ["--threshold", "target-fpr:0.5", "--threshold", "target-recall:0.4", "--prevalence", "0.02"]
    run("--detector", "glass", "--folds", 3, "--out", folder, "--resume", *metrics)
    return folder / "report.html"


@pytest.fixture(scope="session")
def study_file(page_file, cache, tmp_path_factory):
    """A page of that run and of one like it that trained on half as many parts, with defects of several types."""
    from raylab2f.reporting import Display
    from raylab2f.reporting.page import render_html
    from raylab2f.workflows.report.content import report_content

    folder = tmp_path_factory.mktemp("study")
    runs = [page_file.parent, with_fewer_trained(page_file.parent, folder / "half")]
    content = report_content(runs, cache=str(cache), display=Display(Console(quiet=True)))
    content["runs"][0]["pod"] = planted_detection(folder / "sized")
    # As if the folds of the other had two thresholds each.
    thresholds = content["runs"][1]["thresholds"]
    thresholds["begin"] = [thresholds["points"][number]["threshold"] + 1e-6 for number in (3, 9)]
    (folder / "report.html").write_text(render_html(content), encoding="utf-8")
    return folder / "report.html"
